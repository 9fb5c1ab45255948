"""Which index a collection has: lookalike's own, or that of a server that has one."""

import functools

import numpy as np
import pytest
from click.testing import CliRunner

import lookalike
from lookalike import EmbeddingError, IndexSizes, InputError
from lookalike.cli.main import main
from lookalike.collection import duplicates
from lookalike.core.vectors import pack
from lookalike.dialects import Table
from lookalike.dialects.base import SERVER_INDEX
from lookalike.duplicates.find import DuplicateOptions
from lookalike.index import server_index
from tests.conftest import new_database, new_schema
from tests.index.clusters import clustered, names, recall
from tests.oracle import similarities

DIM, ROWS, FEWEST = 24, 1200, 600
ALL_METRICS = ("cosine", "euclidean", "dot")


@pytest.fixture
def index_sizes():
    return IndexSizes(fewest_rows=200, rows_for_cells=FEWEST)


@pytest.fixture
def maria(mariadb, index_sizes):
    with new_database(mariadb) as url, lookalike.connect(url, index_sizes=index_sizes) as db:
        yield db


@pytest.fixture(params=["mariadb", "oceanbase"])
def served(request, index_sizes):
    """A database on a server that has an index of its own."""
    if request.param == "mariadb":
        yield request.getfixturevalue("maria")
        return
    server = request.getfixturevalue("seekdb")
    with new_schema(server) as url, lookalike.connect(url, index_sizes=index_sizes) as db:
        yield db


@pytest.fixture
def vectors():
    return clustered(ROWS, DIM)


def filled(db, vectors, metric="cosine"):
    own = db.collection("own", dim=vectors.shape[1], metric=metric)
    own.add_embeddings(names(len(vectors)), vectors)
    return own


def found_in(db):
    """What exists: lookalike's codes, the server's index."""
    tables = {name for (name,) in db.rows("SHOW TABLES")[1]}
    found = {row[0] for row in db.connection.query(db.dialect.server_indexes(Table("own")))}
    return any("_codes_" in name for name in tables), SERVER_INDEX in found


def nearest(vectors, query, metric="cosine", k=10):
    scores = similarities(vectors, query, metric)
    return (np.argsort(-scores, kind="stable")[:k] + 1).tolist()


def ids(matches):
    return [match.id for match in matches]


def test_the_servers_index_is_the_default_and_ours_is_on_request(served, vectors):
    own = filled(served, vectors)
    assert found_in(served) == (False, True)
    status = own.index.status()
    assert (status.kind, status.edges, status.indexed, status.plan) == ("server", 16, ROWS, None)
    assert status.kept == "server" and own.status().index == "server"
    assert own.index.build(kind="lookalike")
    assert found_in(served) == (True, False)
    status = own.index.status()
    assert (status.kind, status.edges, status.indexed) == ("lookalike", None, ROWS)
    assert status.plan.n_probes and own.index.check().is_consistent
    own.add_embeddings(["more"], vectors[:1])  # stays so, with and without saying it
    assert own.index.build() and found_in(served) == (True, False)
    assert own.index.build(kind="server")
    assert found_in(served) == (False, True)
    own.add_embeddings(["more"], vectors[:1])
    assert own.index.build() and found_in(served) == (False, True)


def test_a_choice_is_remembered_while_the_collection_is_small(served, vectors):
    own = filled(served, vectors[:100])
    assert not own.index.build(kind="lookalike")
    own.add_embeddings(names(ROWS - 100), vectors[100:])
    assert found_in(served) == (True, False)
    assert own.index.build(kind="server")
    served.delete_collection("own")
    filled(served, vectors)  # the next of this name is not asked for ours
    assert found_in(served) == (False, True)


def test_add_takes_the_kind(maria, photos, embedded_model):
    maria._index_sizes = IndexSizes(fewest_rows=2, rows_for_cells=2)
    own = maria.collection("own", model=embedded_model)
    own.add(photos / "cat.jpg", photos / "rocket.jpg", index="lookalike")
    assert found_in(maria) == (True, False)
    own.add(photos / "coffee.jpg", index="server")
    assert found_in(maria) == (False, True)
    own.add(photos / "coffee.jpg", index="lookalike")
    assert found_in(maria) == (True, False)
    assert own.search(photos / "cat.jpg", k=1)[0].image_name == "cat.jpg"


def test_drop_drops_either_kind(served, vectors):
    own = filled(served, vectors)
    for kind in ("server", "lookalike"):
        own.index.build(kind=kind)
        own.index.drop()
        assert found_in(served) == (False, False) and own.index.status().kind is None
        assert ids(own.search(vectors[3])) == nearest(vectors, vectors[3])
    own.add_embeddings(["more"], vectors[:1])
    assert found_in(served) == (False, True)


def test_drop_and_rebuild_on_a_server_without_an_index(db, vectors):
    own = filled(db, vectors)
    with pytest.raises(InputError, match="no vector index of its own"):
        own.index.build(kind="server")
    with pytest.raises(InputError, match="'hnsw' is no kind of index"):
        own.index.build(kind="hnsw")
    db.drop_index("own")
    assert own.index.status().kind is None and own.index.status().indexed == 0
    assert ids(own.search(vectors[3])) == nearest(vectors, vectors[3])
    own.add_embeddings(["more"], vectors[:1])
    assert own.index.status().kind == "lookalike"


def test_what_cannot_be_built_is_refused(maria, vectors):
    own = filled(maria, vectors, "dot")
    assert own.index.status().kind == "lookalike"  # the server has none for dot
    with pytest.raises(InputError, match="cosine and euclidean, and this collection ranks by dot"):
        own.index.build(kind="server")
    maria.delete_collection("own")
    own = filled(maria, vectors)
    with pytest.raises(InputError, match="the server's is not trained"):
        own.index.build(kind="server", target_recall=0.9)
    assert found_in(maria) == (False, True)


def test_an_index_that_the_user_made_is_left_alone(maria, vectors):
    maria.rows(
        f"CREATE TABLE own (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        f"embedding VECTOR({DIM}) NOT NULL, VECTOR INDEX theirs (embedding) DISTANCE=cosine)"
    )
    own = filled(maria, vectors)
    assert own.index.status().kind == "server" and own.index.status().edges is None
    assert own.index.build(kind="server")
    own.index.drop()
    assert own.index.status().kind == "server"


def test_a_change_that_was_interrupted_leaves_a_working_index(maria, vectors, monkeypatch):
    own = filled(maria, vectors)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(server_index, "drop", lambda store: _interrupt())
        own.index.build(kind="lookalike")
    assert found_in(maria) == (True, True)
    own.add_embeddings(["more"], vectors[:1])
    assert "is still there" in own.index.status().problems[0]
    assert own.index.build() and found_in(maria) == (True, False)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("lookalike.index.kinds.drop_ours", lambda store: _interrupt())
        own.index.build(kind="server")
    assert found_in(maria) == (True, True)
    stored = np.concatenate([vectors, vectors[:1]])
    assert recall(own, stored, vectors[:20] + 0.1) > 0.98
    assert own.index.build(kind="server") and found_in(maria) == (False, True)


def _interrupt():
    raise KeyboardInterrupt


def test_duplicates_borrow_our_index(served, vectors):
    own = filled(served, np.concatenate([vectors, vectors[:5]]))
    options = {"min_similarity": 0.9999}
    together = own.duplicates.find(**options)
    asked = DuplicateOptions(min_similarity=0.9999, most_compared=10)
    found = duplicates.find(own._state, asked, lambda what, done, total: None)
    assert [group.name for group in found] == [group.name for group in together]
    assert len(found) == 5 and found_in(served) == (False, True)


@pytest.mark.parametrize("metric", ALL_METRICS)
def test_our_index_finds_what_numpy_finds(served, metric):
    vectors = clustered(3000, DIM, seed=3) * np.linspace(0.3, 3, 3000, dtype=np.float32)[:, None]
    own = filled(served, vectors, metric)
    own.index.build(kind="lookalike")
    queries = clustered(40, DIM, seed=4)
    assert own.explain(queries[0]).plan == "cells and codes"
    assert recall(own, vectors, queries, metric) > 0.98
    assert recall(own, vectors, queries, metric, n_probes=100_000) == 1
    at_once = own.search_many(list(queries), k=5, n_probes=100_000)
    for query, matches in zip(queries, at_once, strict=True):
        assert ids(matches) == nearest(vectors, query, metric, 5)
        scores = similarities(vectors, query, metric)[[match.id - 1 for match in matches]]
        assert [match.similarity for match in matches] == pytest.approx(scores, rel=1e-6)
    statement = own.search_sql(queries[0], k=7, n_probes=100_000)
    assert [row[0] for row in served.rows(*statement)[1]] == nearest(vectors, queries[0], metric, 7)
    assert own.search_sql(queries[0], k=7, min_similarity=-1.0).sql


@pytest.mark.parametrize("share", [2, 20, 300])
def test_filters_are_exact_within_the_cells(served, vectors, share):
    own = served.collection("own", dim=DIM)
    groups = [{"part": i % share} for i in range(ROWS)]
    own.upsert(vectors, names=names(ROWS), attributes=groups)
    own.index.build(kind="lookalike")
    kept = np.arange(ROWS)[np.arange(ROWS) % share == 1]
    hits = 0
    for query in clustered(20, DIM, seed=5):
        expected = {kept[i - 1] + 1 for i in nearest(vectors[kept], query)}
        found = own.search(query, where={"part": 1})
        assert len(found) == min(10, len(kept))
        hits += len(expected & set(ids(found)))
    assert hits >= 0.98 * 20 * min(10, len(kept))


@pytest.mark.parametrize("kind", ["server", "lookalike"])
def test_embeddings_of_very_different_lengths(maria, vectors, kind):
    """MariaDB computes the squares of lengths in float32."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    lengths = np.logspace(-16.5, 17.5, ROWS, dtype=np.float32)[:, None]
    for length in (1e-18, 1e19):
        with pytest.raises(EmbeddingError, match="embedding 0 has the length 1e"):
            maria.collection("own", dim=DIM).upsert(unit[:1] * np.float32(length))
    own = filled(maria, unit * lengths)
    own.index.build(kind=kind)
    maria.rows("INSERT INTO own (embedding) VALUES (%s)", (pack(unit[0] * np.float32(1e-30)),))
    for query in (unit[0], unit[1] * np.float32(1e-30), unit[2] * np.float32(1e30)):
        expected = nearest(vectors, query)
        for options in ({"exact": True}, {"n_probes": 1000}, {"where": "image_name~v"}):
            found = ids(own.search(query, k=11, **options))
            # The tiny one is compared here until it has a code.
            assert [row_id for row_id in found if row_id <= ROWS][:10] == expected


def test_rows_that_others_change_are_seen(served, vectors):
    own = filled(served, vectors)
    own.index.build(kind="lookalike")
    query = clustered(1, DIM, seed=9)[0]
    insert = "INSERT INTO own (image_name, embedding) VALUES ('theirs', %s)"
    served.rows(insert, (pack(query),))
    assert own.search(query, k=1)[0].id == ROWS + 1  # before it has a code
    best = nearest(vectors, query, k=3)
    served.rows("DELETE FROM own WHERE id IN (%s, %s)", (best[0], best[2]))
    assert ids(own.search(query, k=2)) == [ROWS + 1, best[1]]
    served.rows("UPDATE own SET embedding = %s WHERE id = %s", (bytes(4 * DIM), best[1]))
    assert best[1] not in ids(own.search(query, k=ROWS))  # zeros have no cosine
    own.index.refresh()
    assert own.index.check().missing == () and own.index.check().stale == (best[1],)
    own.remove_rows([ROWS + 1])
    assert ROWS + 1 not in ids(own.search(query))


@pytest.mark.parametrize("metric", ALL_METRICS)
def test_our_index_is_held_in_memory_as_fresh_as_the_table(served, vectors, metric):
    own = filled(served, vectors, metric)
    own.index.build(kind="lookalike")
    rows, rng = dict(enumerate(vectors, 1)), np.random.default_rng(0)
    with own.hold_index() as held, lookalike.connect(served.url) as other:
        assert held.wait(30)
        theirs = other.collection("own")
        for query in clustered(12, DIM, seed=6):
            (new,) = theirs.add_embeddings(["new"], [query])
            changed, gone = rng.choice(list(rows), 2, replace=False).tolist()
            rows |= {new: query, changed: query * np.float32(0.9)}
            theirs.upsert([rows[changed]], ids=[changed])
            theirs.remove_rows([gone])
            del rows[gone]
            inserted = "INSERT INTO own (image_name, embedding) VALUES ('sql', %s)"
            other.rows(inserted, (pack(query[::-1]),))
            rows[max(rows) + 1] = query[::-1]
            scores = similarities(np.stack(list(rows.values())), query, metric)
            order = np.lexsort((list(rows), -scores))[:5]
            found = own.search(query, k=5, n_probes=10_000, oversampling=200)
            assert [match.similarity for match in found] == pytest.approx(scores[order], rel=1e-6)
        assert "in memory" in own.explain(query).plan
        assert len(own.search_many(list(vectors[:200]), k=3)) == 200
        name = {"image_name": "sql"}
        assert {match.image_name for match in own.search(query, where=name)} == {"sql"}


def test_what_cannot_be_held_is_told(maria, vectors):
    told = []
    maria._notify = told.append
    own = filled(maria, vectors)
    with own.hold_index() as held:
        assert not held.wait(30) and held.state == "refused"
        assert ids(own.search(vectors[7], k=1)) == [8]
    assert "The server's own index searches own" in told[-1]


def test_the_command_shows_and_changes_the_kind(maria, vectors, monkeypatch, index_sizes):
    connect = functools.partial(lookalike.connect, index_sizes=index_sizes)
    monkeypatch.setattr("lookalike.cli.options.lookalike.connect", connect, raising=False)
    filled(maria, vectors)

    def run(*arguments):
        done = CliRunner().invoke(main, [*arguments, "--database", maria.url])
        assert done.exit_code == 0, done.output
        return done.output

    assert "HNSW, M = 16, cosine" in run("index", "status", "--collection", "own")
    assert "1,200 rows, the server's own" in run("status", "--collection", "own")
    assert "codes" in run("index", "rebuild", "--index", "lookalike", "--collection", "own")
    assert "kept by  add" in run("index", "status", "--collection", "own")
    assert "indexed by the server" in run(
        *("index", "rebuild", "--index", "server", "--collection", "own")
    )
    assert "Dropped" in run("index", "drop", "own")
    assert "index    none" in run("index", "status", "--collection", "own")
