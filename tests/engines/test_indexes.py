"""Indexes on every engine: the server's own, lookalike's on request, and that in memory."""

import numpy as np
import pytest

from lookalike import IndexSizes, InputError
from lookalike.dialects import Table
from tests.index.clusters import clustered
from tests.oracle import nearest

N, DIM = 700, 16
CLUSTERED = clustered(N + 75, DIM)
NEW, QUERIES = CLUSTERED[N : N + 60], CLUSTERED[N + 60 :]
TABLE = Table("own")


@pytest.fixture
def index_sizes():
    """Training from 100 rows on, and cells, or the server's own index, from 300 on."""
    return IndexSizes(fewest_rows=100, rows_for_cells=300)


@pytest.fixture
def rows():
    """{id: vector}"""
    return dict(enumerate(CLUSTERED[:N], 1))


@pytest.fixture
def own(engine, rows):
    own = engine.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in rows], list(rows.values()))
    return own


def change(own, rows):
    """Add, replace and delete rows, here and there."""
    chance = np.random.default_rng(5)
    rows |= dict(zip(own.add_embeddings(["new"] * 40, NEW[:40]), NEW[:40], strict=True))
    moved = chance.choice(N, 20, replace=False) + 1
    own.upsert(NEW[40:], ids=moved.tolist())
    rows |= dict(zip(moved.tolist(), NEW[40:], strict=True))
    gone = set(range(100, 160)) - set(moved.tolist())
    assert own.remove_rows(gone) == len(gone)
    for row_id in gone:
        del rows[row_id]


def recall(own, rows, **options):
    """The share of the 10 nearest that are found; nothing that is not there is."""
    ids, vectors, hits = list(rows), np.array(list(rows.values())), 0
    for query in QUERIES:
        expected = [ids[place - 1] for place in nearest(vectors, query)[:10]]
        found = [match.id for match in own.search(query, k=10, **options)]
        assert len(found) == len(set(found)) == 10 and set(found) <= set(ids)
        if options.get("exact"):
            assert found == expected
        hits += len(set(found) & set(expected))
    return hits / (10 * len(QUERIES))


@pytest.mark.capability("server index")
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_neighbours_are_found_by_the_index_that_is_made_by_itself(engine, rows, metric, remark):
    own = engine.collection("own", dim=DIM, metric=metric)
    own.add_embeddings([f"v{i}" for i in rows], list(rows.values()))
    if metric in engine.dialect.indexed_metrics:
        assert engine.rows(*engine.dialect.server_indexes(TABLE))[1] == [("lookalike_vectors",)]
    elif engine.dialect.needs_index:
        assert own.status().indexed == N
        remark("It has none: lookalike's own is made.")
    else:
        remark("Every embedding is compared, unless lookalike's own index is made.")
    ids, vectors, hits = list(rows), np.array(list(rows.values())), 0
    for query in QUERIES:
        order = [ids[place - 1] for place in nearest(vectors, query, metric)]
        found = [match.id for match in own.search(query, k=10)]
        hits += len(set(found) & set(order[:10]))
        assert [m.id for m in own.search(query, k=10, exact=True)] == order[:10]
    assert hits / (10 * len(QUERIES)) >= 0.97
    assert len(own.search(vectors[0], k=500)) == 500


@pytest.mark.capability("server index")
def test_changes_show_at_once(engine, own, rows):
    change(own, rows)
    zeros = engine.dialect.vector(bytes(4 * DIM))
    engine.rows("INSERT INTO own (image_name, embedding) VALUES ('zeros', %s)", (zeros,))
    assert recall(own, rows) >= 0.97
    assert recall(own, rows, exact=True) == 1
    every = [match.id for match in own.search(rows[1], k=len(rows) + 5)]
    assert set(every) == set(rows)


@pytest.mark.capability("own index")
def test_lookalikes_own_index_is_built_on_request(engine, own, rows):
    assert own.index.build(kind="lookalike")
    assert own.status().indexed == N
    assert own.explain(rows[3], k=3).plan == "cells and codes"
    assert recall(own, rows) >= 0.97
    change(own, rows)
    assert recall(own, rows) >= 0.97 and recall(own, rows, exact=True) == 1
    report = own.index.check()
    assert report.is_consistent and report.codes == len(rows)
    values = {row_id: {"half": row_id % 2} for row_id in rows}
    own.attributes.update(values)
    odd = {row_id: vector for row_id, vector in rows.items() if row_id % 2}
    assert recall(own, odd, where="half=1") >= 0.97
    ids = [row[0] for row in engine.rows(*own.search_sql(rows[3], k=5))[1]]
    assert ids[0] == 3 and set(ids) <= set(rows)


@pytest.mark.capability("held index")
def test_an_index_in_memory_follows_changes(own, rows):
    assert own.index.build(kind="lookalike")
    with own.hold_index() as held:
        assert held.wait(60), held.status()
        assert "in memory" in own.explain(rows[3]).plan
        assert recall(own, rows) >= 0.97
        change(own, rows)
        assert recall(own, rows) >= 0.97
        assert "in memory" in own.explain(rows[3]).plan


# Tables of your own.


@pytest.fixture
def shoes(engine, rows):
    """A table of a user's own with 400 rows."""
    columns = "id INT PRIMARY KEY, title VARCHAR(20), price FLOAT"
    engine.rows(f"CREATE TABLE shoes ({columns}, photo {engine.dialect.vector_type(DIM)})")
    for row_id in range(1, 401):
        insert(engine, row_id, rows[row_id])
    return engine.table("shoes", name="title")


def insert(db, row_id, vector):
    bound = db.dialect.vector(vector.astype("<f4").tobytes())
    values = (row_id, f"t{row_id}", row_id / 2, bound)
    db.rows("INSERT INTO shoes VALUES (%s, %s, %s, %s)", values)


@pytest.mark.capability("tables")
@pytest.mark.parametrize("is_built", [False, True])
def test_tables_of_ones_own_are_searched_and_follow_changes(engine, shoes, rows, is_built):
    rows = {row_id: rows[row_id] for row_id in range(1, 401)}
    if is_built:
        assert shoes.index.build() and shoes.index.status().indexed == 400
        assert shoes.explain(rows[3]).plan == "cells and codes"
    assert recall(shoes, rows) >= 0.97
    found = shoes.search(rows[9], k=2, where="price>3")
    assert found[0].image_name == "t9" and all(match.id > 6 for match in found)
    assert [item.id for item in shoes.browse(order_by="-price", k=2)] == [400, 399]
    engine.rows("DELETE FROM shoes WHERE id IN (3, 4)")
    moved = engine.dialect.vector(rows[3].astype("<f4").tobytes())
    engine.rows("UPDATE shoes SET photo = %s WHERE id = 7", (moved,))
    insert(engine, 401, rows[4])
    rows |= {7: rows[3], 401: rows[4]}
    del rows[3], rows[4]
    assert recall(shoes, rows) >= 0.97
    assert shoes.search(rows[7], k=1)[0].id == 7 and shoes.search(rows[401], k=1)[0].id == 401
    shoes.index.refresh()
    assert shoes.index.check().is_consistent
    assert recall(shoes, rows) >= 0.97 and recall(shoes, rows, exact=True) == 1
    (status,) = engine.tables()
    assert (status.name, status.rows, status.pending, status.problems) == ("shoes", 399, 0, ())
    shoes.index.drop()
    assert engine.tables() == []
    assert engine.rows("SELECT COUNT(*) FROM shoes")[1] == [(399,)]


@pytest.mark.capability("tables")
def test_tables_with_keys_of_text_are_searched(engine, rows):
    columns = f"code VARCHAR(20) PRIMARY KEY, photo {engine.dialect.vector_type(DIM)}"
    engine.rows(f"CREATE TABLE parts ({columns})")
    for row_id in range(1, 31):
        bound = engine.dialect.vector(rows[row_id].astype("<f4").tobytes())
        engine.rows("INSERT INTO parts VALUES (%s, %s)", (f"code {row_id}", bound))
    parts = engine.table("parts")
    assert [match.key for match in parts.search(rows[7], k=1)] == ["code 7"]
    bound = engine.dialect.vector(rows[40].astype("<f4").tobytes())
    engine.rows("INSERT INTO parts VALUES ('new', %s)", (bound,))
    assert parts.search(rows[40], k=1)[0].key == "new"
    with pytest.raises(InputError, match="is a table of your own"):
        parts.remove_rows([1])


@pytest.mark.capability("schedule")
def test_an_event_refreshes_an_index_or_is_refused(engine, shoes, rows, refused):
    shoes.index.build()
    if not engine.dialect.has_functions:
        with refused(engine, "cannot run lookalike's SQL functions and procedures: rank with"):
            shoes.index.schedule(1)
        assert shoes.index.status().scheduled is None
        assert shoes.index.unschedule().scheduled is None
        return
    engine.install_functions()
    assert shoes.index.schedule(1).scheduled == "every 1 second"
    insert(engine, 401, rows[401])
    assert shoes.search(rows[401], k=1)[0].id == 401
    assert shoes.index.unschedule().scheduled is None
