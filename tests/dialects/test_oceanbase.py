"""OceanBase's statements. seekdb, which speaks the same SQL, runs them as one of the engines."""

import numpy as np
import pytest

import lookalike
from lookalike import ConnectionFailed, IndexSizes, UnsupportedServer
from lookalike.core.vectors import pack
from lookalike.dialects import Filter, Statement, Table
from lookalike.dialects.oceanbase import OceanBase
from tests import seekdb_server
from tests.conftest import new_schema

TABLE = Table("own")
ROWS, DIM = 1500, 16
SMALL = IndexSizes(fewest_rows=100, rows_for_cells=300)


@pytest.fixture
def ob(seekdb):
    with new_schema(seekdb) as url, lookalike.connect(url, index_sizes=SMALL) as db:
        yield db


@pytest.fixture
def vectors():
    return np.random.default_rng(3).standard_normal((ROWS, DIM)).astype(np.float32)


def filled(db, vectors, metric="cosine"):
    own = db.collection("own", dim=DIM, metric=metric)
    own.add_embeddings([f"v{i}" for i in range(len(vectors))], vectors)
    return own


def plan_of(db, statement):
    return "\n".join(row[0] for row in db.rows(*db.dialect.analyze(statement))[1])


def test_only_approximate_without_conditions_uses_the_index():
    query = pack(np.ones(2, np.float32))
    ann = OceanBase().nearest(TABLE, "cosine", query, 5)
    assert "ORDER BY cosine_distance(embedding, %s) APPROXIMATE LIMIT %s" in ann.sql
    for options in ({"exact": True}, {"where": Filter("v.id > %s", (2,))}):
        statement = OceanBase().nearest(TABLE, "cosine", query, 5, **options)
        assert "APPROXIMATE" not in statement.sql
        assert statement.sql.count("%s") == len(statement.params)
    assert "APPROXIMATE" not in OceanBase().nearest(TABLE, "dot", query, 5).sql


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_its_own_index_is_made_and_used(ob, vectors, metric):
    own = filled(ob, vectors, metric)
    assert ob.rows(*ob.dialect.server_indexes(TABLE))[1] == [("lookalike_vectors",)]
    query = pack(vectors[7])
    assert "VECTOR INDEX SCAN" in plan_of(ob, ob.dialect.nearest(TABLE, metric, query, 5))
    exact = ob.dialect.nearest(TABLE, metric, query, 5, exact=True)
    assert "VECTOR INDEX" not in plan_of(ob, exact)
    hits = 0
    for query in vectors[:40]:
        found = {match.id for match in own.search(query, k=10)}
        hits += len(found & {match.id for match in own.search(query, k=10, exact=True)})
    assert hits >= 396
    assert len(own.search(vectors[0], k=1000)) == 1000


def test_what_is_added_and_deleted_shows_at_once(ob, vectors):
    own = filled(ob, vectors[:400])
    for vector in vectors[400:420]:
        (row_id,) = own.add_embeddings(["new"], [vector])
        assert own.search(vector, k=1)[0].id == row_id
        own.remove(row_id)
        assert own.search(vector, k=1)[0].id != row_id


def test_a_row_without_an_embedding_takes_no_place(ob, vectors):
    own = filled(ob, vectors[:400])
    ob.rows(
        "INSERT INTO own (image_name, embedding) VALUES ('null', NULL), ('0', %s)",
        (bytes(4 * DIM),),
    )
    assert own.search(vectors[3], k=400)[0].id == 4
    assert {match.id for match in own.search(vectors[3], k=1000)} == set(range(1, 401))


def test_long_statements_are_not_ended_after_ten_seconds(ob):
    settings = ob.rows("SELECT @@ob_query_timeout, @@ob_trx_lock_timeout, @@time_zone")[1]
    assert settings == [(86_400_000_000, 50_000_000, "+00:00")]
    with ob.connection.apart():
        assert ob.connection.value(Statement("SELECT @@ob_query_timeout")) == 86_400_000_000


def test_lists_cannot_be_indexed_and_other_attributes_can(ob):
    own = ob.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 1], [1, 0]])
    own.attributes.set([{"path": "a", "tags": ["x"], "kind": "K "}, {"path": "b", "kind": "k"}])
    with pytest.raises(UnsupportedServer, match="oceanbase cannot index lists, as 'tags' has"):
        own.attributes.index("tags")
    assert own.attributes.index("kind") is True
    assert [match.id for match in own.search([1, 1], where="tags:x")] == [1]
    # Letter case and spaces at the end count, as they do elsewhere.
    assert [match.id for match in own.search([1, 1], where={"kind": "K "})] == [1]
    assert own.search([1, 1], where="kind=K") == []


def test_a_copy_which_compares_bytes_is_refused(ob, db, vectors):
    filled(ob, vectors[:3])
    with pytest.raises(UnsupportedServer, match="gives embeddings as text"):
        ob.copy_collection("own", db)
    assert db.collections() == []


@pytest.mark.nightly
def test_no_committed_row_is_lost_to_a_kill(tmp_path, vectors):
    """Its index may be incomplete after it; searches then compare every row."""
    data = tmp_path / "data"
    with (
        seekdb_server.opened(data) as socket,
        lookalike.connect(seekdb_server.url(socket), index_sizes=SMALL) as db,
    ):
        own = filled(db, vectors[:1000])
        own.add_embeddings([f"w{i}" for i in range(500)], vectors[1000:])
        seekdb_server.kill(data)
        with pytest.raises(ConnectionFailed):
            own.search(vectors[0])
    with (
        seekdb_server.opened(data) as socket,
        lookalike.connect(seekdb_server.url(socket), index_sizes=SMALL) as db,
    ):
        own = db.collection("own")
        stored = np.array([item.embedding for item in own.get(range(1, ROWS + 1))])
        assert stored.tobytes() == vectors.tobytes()
        for i in range(0, ROWS, 100):
            assert own.search(vectors[i], k=5, exact=True)[0].id == i + 1
            found = own.search(vectors[i], k=5)
            assert len(found) == 5
            assert found[0].id == i + 1
