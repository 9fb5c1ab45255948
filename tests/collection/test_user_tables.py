"""Tables of the user's own, indexed where they are, against numpy."""

import numpy as np
import pytest

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.core.types import IndexSizes
from lookalike.index.loading import load
from lookalike.search.in_memory import search_in_memory
from lookalike.search.options import Asked, SearchOptions
from tests.collection.user_tables import DIM, EVERYTHING, expected, found, insert, names_of

N = 400


@pytest.fixture
def index_sizes():
    return IndexSizes(rows_for_cells=200)


@pytest.fixture
def vectors():
    return np.random.default_rng(5).normal(size=(N, DIM)).astype(np.float32)


@pytest.fixture
def shop(db):
    """Another database, dropped after the test."""
    name = db.rows("SELECT DATABASE()")[1][0][0] + "_shop"
    db.rows(f"CREATE DATABASE {name}")
    yield name
    db.rows(f"DROP DATABASE IF EXISTS {name}")


def make(db, vectors, table="products", id_type="BIGINT UNSIGNED", ids=None):
    """Create a table with a key, a name, a price and a vector, and return its rows by key."""
    ids = list(range(1, len(vectors) + 1)) if ids is None else ids
    db.rows(
        f"CREATE TABLE {table} (product_id {id_type} PRIMARY KEY, title VARCHAR(99), price INT, "
        f"embedding VECTOR({DIM}))"
    )
    insert(db, table, [(key, f"item {key}", 7, v) for key, v in zip(ids, vectors, strict=True)])
    return dict(zip(ids, vectors, strict=True))


def test_rows_are_filtered_by_key_and_name_as_the_table_calls_them(db, vectors):
    make(db, vectors)
    products = db.table("products", name="title")
    assert [match.id for match in products.search(vectors[3], k=1)] == [4]
    for where in ({"product_id": ("!=", 4)}, {"title": ("!=", "item 4")}):
        assert 4 not in [match.id for match in products.search(vectors[3], k=3, where=where)]
    only = {"title": "item 9", "product_id": [9, 10]}
    assert [match.id for match in products.search(vectors[3], where=only)] == [9]


def test_an_index_is_created_searched_and_dropped_without_a_trace(db, vectors):
    rows = make(db, vectors)
    before = db.rows("SHOW CREATE TABLE products")
    products = db.table("products", vector="embedding", id="product_id", name="title")
    assert products.explain(vectors[0]).plan == "cells and codes"
    for query in vectors[:5]:
        assert found(products, query) == expected(rows, query)
    assert products.search(vectors[3])[0].image_name == "item 4"
    status = products.index.status()
    assert (status.kept, status.rows, status.indexed, status.pending) == ("triggers", N, N, 0)
    assert products.index.check().is_consistent
    assert {"lookalike_1_changes", "lookalike_1_insert"} < names_of(db)
    products.index.drop()
    assert names_of(db) == set() and db.tables() == []
    assert db.rows("SHOW CREATE TABLE products") == before
    for (table,) in db.rows("SHOW TABLES LIKE 'lookalike%'")[1]:
        columns = [row[0] for row in db.rows(f"SHOW COLUMNS FROM {table}")[1]]
        if "collection" in columns:
            assert db.rows(f"SELECT * FROM {table}")[1] == [], table


@pytest.mark.parametrize(
    "id_type, low",
    [("TINYINT UNSIGNED", 0), ("INT", -200), ("BIGINT", -(2**63)), ("BIGINT UNSIGNED", 2**62)],
)
def test_any_integer_is_a_key(db, vectors, id_type, low):
    ids = list(range(low, low + 200))
    rows = make(db, vectors[:200], id_type=id_type, ids=ids)
    products = db.table("products")
    assert found(products, vectors[0]) == expected(rows, vectors[0])
    db.rows("UPDATE products SET embedding = %s WHERE product_id = %s", (vectors[0], ids[-1]))
    assert found(products, vectors[0], k=2) == [ids[0], ids[-1]]
    products.index.refresh()
    assert products.index.check().is_consistent
    assert found(products, vectors[0], k=2) == [ids[0], ids[-1]]


def test_a_table_of_another_database_with_names_that_need_quoting(db, shop, vectors):
    table = f"{shop}.`my ``odd.table`"
    db.rows(
        f"CREATE TABLE {table} (`the key` INT NOT NULL UNIQUE, `select` VARCHAR(9), "
        f"`a.b``c` VECTOR({DIM}), other VECTOR(2))"
    )
    insert(db, table, [(key, f"n{key}", vector, None) for key, vector in enumerate(vectors)])
    own = db.table("my `odd.table", schema=shop, vector="a.b`c", name="select", alias="odd")
    rows = dict(enumerate(vectors))
    assert found(own, vectors[9]) == expected(rows, vectors[9])
    db.rows(f"DELETE FROM {table} WHERE `the key` = 9")
    del rows[9]
    assert found(own, vectors[9]) == expected(rows, vectors[9])
    assert own.index.refresh().pending == 0
    assert found(own, vectors[9]) == expected(rows, vectors[9]) and own.index.check().is_consistent
    assert db.collection("odd").search("n3", k=1)[0].id != 3
    assert db.table("odd").index.status().table == f"{shop}.my `odd.table"
    db.rows(f"DROP DATABASE {shop}")
    with pytest.raises(InputError, match="of index 'odd' is gone: run lookalike index drop odd"):
        db.table("odd")
    db.drop_index("odd")
    assert names_of(db) == set()


def test_several_vectors_of_one_table_have_an_index_each(db, vectors):
    db.rows(f"CREATE TABLE p (id INT PRIMARY KEY, a VECTOR({DIM}), b VECTOR({DIM}))")
    insert(db, "p", [(key, vector, -vector) for key, vector in enumerate(vectors)])
    with pytest.raises(InputError, match="p has several VECTOR columns: name one of a, b"):
        db.table("p")
    by_a = db.table("p", vector="a", alias="by_a")
    by_b = db.table("p", vector="b", alias="by_b", metric="euclidean")
    rows = dict(enumerate(vectors))
    db.rows("UPDATE p SET a = %s WHERE id = 5", (vectors[0],))
    rows[5] = vectors[0]
    assert found(by_a, vectors[0]) == expected(rows, vectors[0])
    opposite = {key: -vector for key, vector in enumerate(vectors)}
    assert found(by_b, -vectors[7]) == expected(opposite, -vectors[7], metric="euclidean")
    by_a.index.drop()
    db.rows("DELETE FROM p WHERE id = 7")
    del opposite[7]
    assert found(by_b, -vectors[7]) == expected(opposite, -vectors[7], metric="euclidean")


def test_searches_see_what_was_committed_before_them(db, database_url, vectors):
    rows = make(db, vectors)
    products = db.table("products")
    near = vectors[0] + np.float32(0.01)
    with lookalike.connect(database_url) as other, other.session():
        other.rows("START TRANSACTION")
        other.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (near,))
        other.rows("INSERT INTO products VALUES (1000, 'new', 1, %s)", (near,))
        other.rows("DELETE FROM products WHERE product_id = 2")
        assert found(products, vectors[0]) == expected(rows, vectors[0])
        other.rows("COMMIT")
    rows |= {300: near, 1000: near}
    del rows[2]
    assert found(products, vectors[0]) == expected(rows, vectors[0])
    assert products.search_many([vectors[0]] * 3, **EVERYTHING)[2][1].id == 300
    assert products.index.status().pending == 3
    assert products.index.refresh().pending == 0
    assert found(products, vectors[0]) == expected(rows, vectors[0])
    assert products.index.check().is_consistent


def test_the_log_keeps_what_commits_after_a_refresh_has_read_it(db, database_url, vectors):
    """A transaction that logged first and commits last: its row has a lower number than others."""
    rows = make(db, vectors)
    products = db.table("products")
    near = vectors[0] + np.float32(0.01)
    with lookalike.connect(database_url) as other, other.session():
        other.rows("START TRANSACTION")
        other.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (near,))
        db.rows("UPDATE products SET embedding = %s WHERE product_id = 301", (near,))
        products.index.refresh()
        assert products.index.check().is_consistent
        other.rows("COMMIT")
    rows |= {300: near, 301: near}
    assert found(products, vectors[0]) == expected(rows, vectors[0])
    assert products.index.refresh().pending == 0 and products.index.check().is_consistent
    with lookalike.connect(database_url) as other, other.session():
        other.rows("START TRANSACTION")
        other.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (-near,))
        other.rows("ROLLBACK")
    assert products.index.status().pending == 0
    assert found(products, vectors[0]) == expected(rows, vectors[0])


def test_no_write_of_theirs_fails_and_check_finds_what_was_missed(db, vectors):
    rows = make(db, vectors)
    products = db.table("products")
    db.rows("DROP TABLE lookalike_1_changes")
    near = vectors[0] + np.float32(0.01)
    db.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (near,))
    db.rows("DELETE FROM products WHERE product_id = 2")
    insert(db, "products", [(1000, "item 1000", 7, near)])
    rows |= {300: near, 1000: near}
    del rows[2]
    assert found(products, vectors[0]) == expected(rows, vectors[0])  # exactly, for lack of a log
    report = products.index.check()
    assert (report.missing, report.stale) == ((), (2, 300)) and not report.is_consistent
    assert report.problems == ("its log lookalike_1_changes is missing",)
    with pytest.raises(DatabaseError, match="run lookalike index rebuild --collection products"):
        products.index.refresh()
    assert products.index.build() and products.index.check().is_consistent
    assert found(products, vectors[0]) == expected(rows, vectors[0])


def test_a_trigger_dropped_by_hand_is_told_and_comes_back(db, vectors):
    rows = make(db, vectors)
    products = db.table("products")
    db.rows("DROP TRIGGER lookalike_1_update")
    db.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (-vectors[0],))
    rows[300] = -vectors[0]
    report = products.index.check()
    assert report.problems == ("trigger lookalike_1_update is missing",) and report.stale == (300,)
    assert products.index.status().problems == report.problems
    assert products.index.build() and products.index.check().is_consistent
    assert found(products, -vectors[0]) == expected(rows, -vectors[0])
    assert {"lookalike_1_update"} < names_of(db)


def test_without_the_right_to_create_triggers_the_tail_keeps_the_index(db, shop, vectors):
    rows = make(db, vectors, f"{shop}.products")
    own = db.rows("SELECT DATABASE()")[1][0][0]
    user = "u" + own[-12:]
    db.rows(f"CREATE USER {user}@localhost IDENTIFIED BY 'secret'")
    try:
        db.rows(f"GRANT ALL ON {own}.* TO {user}@localhost")
        db.rows(f"GRANT SELECT ON {shop}.* TO {user}@localhost")
        told = []
        url = str(db.connection.url).replace("root@", f"{user}:secret@")
        with lookalike.connect(url.replace("***", "secret"), notify=told.append) as theirs:
            products = theirs.table("products", schema=shop)
            assert any("may not create triggers" in line for line in told)
            insert(db, f"{shop}.products", [(1000, "item 1000", 7, vectors[0])])
            rows[1000] = vectors[0]
            assert found(products, vectors[0]) == expected(rows, vectors[0])
            assert products.index.status().pending == 1
            db.rows(f"DELETE FROM {shop}.products WHERE product_id = 1")
            del rows[1]
            assert products.index.refresh().pending == 0
            assert products.index.status().kept == "tail"
            assert products.index.check().is_consistent
            assert found(products, vectors[0]) == expected(rows, vectors[0])
            products.index.drop()
    finally:
        db.rows(f"DROP USER {user}@localhost")


def test_filters_on_any_column(db, vectors):
    rows = make(db, vectors)
    db.rows("UPDATE products SET price = product_id")
    products = db.table("products", name="title")
    cheap = {key: vector for key, vector in rows.items() if key < 200}
    assert found(products, vectors[300], where="price<200") == expected(cheap, vectors[300])
    db.rows("UPDATE products SET price = 1, embedding = %s WHERE product_id = 399", (vectors[300],))
    cheap[399] = vectors[300]
    assert found(products, vectors[300], where="price<200") == expected(cheap, vectors[300])
    assert found(products, vectors[300], where={"image_name": "item 7"}) == [7]
    assert [each.name for each in products.attributes.list()] == ["price"]


def test_duplicates_by_embedding(db, vectors):
    twins = vectors[:50] + np.float32(1e-3)
    make(db, np.concatenate([vectors, twins]))
    products = db.table("products")
    db.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (vectors[60],))
    groups = products.duplicates.find(min_similarity=0.999)
    pairs = {tuple(sorted([g.keep.id, *(i.id for i in g.duplicates)])) for g in groups}
    assert pairs == {(i, N + i) for i in range(1, 51)} | {(61, 300)}


def test_lookalike_never_writes_to_the_table(db, vectors):
    make(db, vectors)
    products = db.table("products")
    before = db.rows("CHECKSUM TABLE products")[1], db.rows("SHOW CREATE TABLE products")[1]
    group = products.duplicates.find(min_similarity=0.99)
    for write in (
        lambda: products.upsert([vectors[0]]),
        lambda: products.remove_rows([1]),
        lambda: products.remove(1),
        lambda: products.attributes.set([{"path": "x", "a": 1}]),
        lambda: products.attributes.index("price"),
        lambda: products.attributes.drop("price"),
        lambda: products.duplicates.mark_distinct(1, 2),
        lambda: products.duplicates.delete(group),
        lambda: products.add("."),
        lambda: db.delete_collection("products"),
        lambda: db.rename_collection("products", "goods"),
    ):
        with pytest.raises(InputError, match="a table of your own"):
            write()
    after = db.rows("CHECKSUM TABLE products")[1], db.rows("SHOW CREATE TABLE products")[1]
    assert before == after


def test_a_held_index_sees_what_was_committed(db, vectors):
    rows = make(db, vectors)
    products = db.table("products")
    with products.hold_index() as held:
        assert held.wait(60)
        assert "memory" in products.explain(vectors[0]).plan
        near = vectors[0] + np.float32(0.01)
        db.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (near,))
        db.rows("DELETE FROM products WHERE product_id = 2")
        rows[300] = near
        del rows[2]
        assert found(products, vectors[0]) == expected(rows, vectors[0])
        assert "memory" in products.explain(vectors[0]).plan
        products.index.refresh()
        assert found(products, vectors[0]) == expected(rows, vectors[0])
        many = products.search_many([vectors[0]] * 200)
        assert [m.id for m in many[7]][:2] == expected(rows, vectors[0])[:2]


def test_codes_loaded_for_many_queries_leave_logged_rows_to_the_table(db, vectors):
    rows = make(db, vectors)
    products = db.table("products")
    near = vectors[0] + np.float32(0.01)
    db.rows("UPDATE products SET embedding = %s WHERE product_id = 300", (near,))
    db.rows("DELETE FROM products WHERE product_id = 2")
    rows[300] = near
    del rows[2]
    store = products._state.index
    memory = load(store, notify=print)
    assert memory is not None and set(memory.tail) == {2, 300}
    queries = [vectors[0], near, vectors[7]]
    options = SearchOptions(k=10, n_probes=10_000, oversampling=30)  # most rows, but not the gone
    asked = [Asked(query, options) for query in queries]
    answers = search_in_memory(store.table, memory, asked, memory.tail)
    for query, matches in zip(queries, answers, strict=True):
        assert matches is not None
        assert [match.id for match in matches] == expected(rows, query)


def test_ids_below_0_are_never_searched_in_memory(db, vectors):
    rows = make(db, vectors, id_type="INT", ids=list(range(-200, N - 200)))
    products = db.table("products")
    told = []
    assert load(products._state.index, notify=told.append) is None
    assert told == ["MySQL searches the index: only ids from 0 on are held in memory."]
    many = products.search_many([vectors[0]] * 120, **EVERYTHING)
    assert [match.id for match in many[119]] == expected(rows, vectors[0])


def test_a_collection_named_like_side_tables_is_left_alone(db, vectors):
    """Such a collection may be older than this version; new ones are refused."""
    with pytest.raises(InputError, match="'lookalike_7' is a name of lookalike's own"):
        db.collection("lookalike_7", dim=2).add_embeddings(["a"], [[1, 2]])
    db.collection("mine", dim=2).add_embeddings(["a"], [[1, 2]])
    with pytest.raises(InputError, match="is a name of lookalike's own"):
        db.rename_collection("mine", "lookalike_7")
    db.rows(
        "CREATE TABLE lookalike_1 (id INT AUTO_INCREMENT PRIMARY KEY, image_name VARCHAR(255), "
        "embedding VECTOR(2))"
    )
    older = db.collection("lookalike_1")
    older.add_embeddings(["a", "b"], [[1, 2], [3, 4]])
    before = {row[0] for row in db.rows("SHOW TABLES LIKE 'lookalike\\_1%'")[1]}
    db.rows("CREATE TABLE goods (id INT PRIMARY KEY, v VECTOR(2))")
    db.table("goods")
    assert db.rows("SELECT number FROM lookalike_tables")[1] == [(2,)]
    db.drop_index("goods")
    assert {row[0] for row in db.rows("SHOW TABLES LIKE 'lookalike\\_1%'")[1]} == before
    assert db.collection("lookalike_1").count() == 2
