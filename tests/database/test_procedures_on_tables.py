"""Stored procedures on tables of the user's own, and with native functions."""

import uuid

import numpy as np
import pytest

from lookalike import DatabaseError, IndexSizes
from tests.collection.user_tables import DIM, expected, insert, vectors_of
from tests.oracle import similarities

N = 300
ALL_CELLS = '{"n_probes": 1000}'
TEXTS = [f"SKU-{i:05}é" for i in range(N + 1)]
UUIDS = [uuid.uuid5(uuid.NAMESPACE_DNS, str(i)).bytes for i in range(N + 1)]
LARGE = [2**64 - 1 - i for i in range(N + 1)]


@pytest.fixture
def index_sizes():
    return IndexSizes(fewest_rows=50, rows_for_cells=100)


def search(db, query, k=10, wanted=ALL_CELLS, name="goods"):
    arguments = name, query.tobytes(), k, wanted
    return db.rows("CALL lookalike_search_with(%s, %s, %s, %s)", arguments)[1]


def keys_of(rows):
    return [row[0] for row in rows]


@pytest.mark.parametrize(
    ("key_type", "keys", "as_text"),
    [
        ("INT", list(range(-150, 151)), str),
        ("BIGINT UNSIGNED", [2**62 + 3 * i for i in range(N + 1)], str),
        ("BIGINT UNSIGNED", LARGE, str),
        ("CHAR(36)", TEXTS, str),
        ("BINARY(16)", UUIDS, bytes),
    ],
    ids=["negative", "bigint", "large", "char", "uuid"],
)
def test_a_table_in_another_database_with_any_key(db, key_type, keys, as_text):
    database = f"{db.connection.url.database} o`ther"
    quoted = "`" + database.replace("`", "``") + "`"
    db.install_functions()
    db.rows(f"CREATE DATABASE {quoted}")
    try:
        table = f"{quoted}.`the go``ods`"
        db.rows(
            f"CREATE TABLE {table} (`k``` {key_type} PRIMARY KEY, title VARCHAR(99), price INT, "
            f"`v v` VECTOR({DIM}))"
        )
        rows = dict(zip(keys[:N], vectors_of(0, N), strict=True))
        insert(db, table, [(key, f"g{n}", n, v) for n, (key, v) in enumerate(rows.items())])
        goods = db.table("the go`ods", schema=database, vector="v v", name="title", alias="goods")
        query = vectors_of(1, 1)[0]
        found = search(db, query)
        assert keys_of(found) == expected(rows, query)
        assert found[0][1] == f"g{keys.index(found[0][0])}"
        passing = {key: v for n, (key, v) in enumerate(rows.items()) if n < 20}
        cheap = '{"n_probes": 1000, "where": {"price": {"<": 20}}}'
        assert keys_of(search(db, query, wanted=cheap)) == expected(passing, query)
        # Changes of others, before and after the server has encoded them.
        changed = query * 2 + vectors_of(2, 1)[0] / 99
        db.rows(f"INSERT INTO {table} VALUES (%s, 'new', 1, %s)", (keys[N], query))
        db.rows(f"UPDATE {table} SET `v v` = %s WHERE title = 'g7'", (changed,))
        db.rows(f"DELETE FROM {table} WHERE title = 'g9'")
        rows |= {keys[N]: query, keys[7]: changed}
        del rows[keys[9]]
        for _ in range(2):
            assert keys_of(search(db, query)) == expected(rows, query)
            db.rows("CALL lookalike_refresh('goods')")
        assert goods.index.status().pending == 0
        report = goods.index.check()
        assert report.is_consistent and report.codes == N
        like = db.rows("CALL lookalike_similar('goods', %s, 5)", (as_text(keys[7]),))[1]
        others = {key: v for key, v in rows.items() if key != keys[7]}
        assert keys_of(like) == expected(others, rows[keys[7]], k=5)
    finally:
        db.rows(f"DROP DATABASE {quoted}")


@pytest.mark.parametrize(("metric", "dim"), [("cosine", 48), ("euclidean", 96), ("dot", 48)])
def test_native_functions_give_the_same_answers(native, metric, dim):
    native.install_functions()
    vectors = np.random.default_rng(3).normal(size=(500, dim)).astype(np.float32)
    shapes = native.collection("shapes", dim=dim, metric=metric)
    shapes.add_embeddings([f"s{i}" for i in range(500)], vectors)
    query = np.random.default_rng(4).normal(size=dim).astype(np.float32)
    scores = similarities(vectors, query, metric)
    best = np.argsort(-scores)[:10]
    with native.session():
        for is_native in (True, False):
            rows = search(native, query, name="shapes")
            assert native.rows("SELECT @lookalike_native")[1] == [(int(is_native),)]
            assert len(set(keys_of(rows)) & set((best + 1).tolist())) >= 9
            assert keys_of(search(native, query, wanted=None, name="shapes")) == (best + 1).tolist()
            assert np.allclose([row[2] for row in rows][:1], scores[best][:1], atol=1e-4)
            for bad in (np.nan, np.inf):
                with pytest.raises(DatabaseError, match="not finite"):
                    search(native, np.full(dim, bad, np.float32), name="shapes")
            native.remove_native_functions()
