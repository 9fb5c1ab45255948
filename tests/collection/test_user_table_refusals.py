"""Tables of the user's own that cannot be indexed, or that change under their index."""

import numpy as np
import pytest

import lookalike
from lookalike import DatabaseError, EmbeddingError, IndexSizes, InputError
from tests.collection.user_tables import DIM, expected, found, insert, names_of, vectors_of


@pytest.fixture
def index_sizes():
    return IndexSizes(rows_for_cells=200)


@pytest.fixture
def goods(db):
    """A table with an index, and its rows."""
    db.rows(f"CREATE TABLE goods (id INT PRIMARY KEY, v VECTOR({DIM}), n INT)")
    rows = dict(enumerate(vectors_of(0, 300)))
    insert(db, "goods", [(key, vector, key) for key, vector in rows.items()])
    return db.table("goods"), rows


@pytest.mark.parametrize(
    "definition, options, message",
    [
        ("TABLE t (id INT, v VECTOR(4))", {}, "t has no usable key: it needs a PRIMARY KEY or UN"),
        ("TABLE t (id INT UNIQUE, v VECTOR(4))", {}, "t has no usable key"),
        ("TABLE t (a INT, b INT, v VECTOR(4), PRIMARY KEY (a, b))", {}, "t has no usable key"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"id": "v"}, "column 'v' of t is no key"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"id": "idd"}, "'idd'; did you mean id"),
        ("TABLE t (id INT PRIMARY KEY, v INT)", {}, "t has no VECTOR column"),
        ("TABLE t (id INT PRIMARY KEY, v INT)", {"vector": "v"}, "'v' of t is int, not VECTOR"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"name": "nam"}, "t has no column 'nam'"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4)) ENGINE=MyISAM", {}, "its engine is MyISAM"),
        ("VIEW t AS SELECT 1 AS id, 2 AS v", {}, "t cannot be indexed: it is a view"),
        ("TABLE t (id INT PRIMARY KEY, `v%s` VECTOR(4))", {}, "'v%s' has a % or NUL in its name"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"metric": "l2"}, "unknown metric 'l2'"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"schema": "nix"}, "no table 't' in nix"),
        ("TABLE t (id INT PRIMARY KEY, v VECTOR(4))", {"alias": "x" * 65}, "use 1 to 64"),
    ],
)
def test_what_cannot_be_indexed_is_refused_in_one_line(db, definition, options, message):
    db.rows(f"CREATE {definition}")
    with pytest.raises(InputError, match=message) as error:
        db.table("t", **options)
    assert "\n" not in str(error.value)
    assert db.tables() == [] and names_of(db) == set()


def test_names_are_unique(db, goods):
    with pytest.raises(InputError, match=r"'goods' is taken: it is goods.v \(key id, cosine\)"):
        db.table("goods", metric="dot")
    db.collection("pictures", dim=2).upsert([[1, 2]])
    with pytest.raises(InputError, match="'pictures' is taken: it is a collection's"):
        db.table("goods", alias="pictures")
    with pytest.raises(InputError, match="'goods' is a table of your own"):
        db.collection("goods").upsert([vectors_of(1, 1)[0]])
    assert db.table("goods", vector="v", id="id").index.status().name == "goods"
    with pytest.raises(InputError, match="no table is registered as 'good'.*: goods"):
        db.drop_index("good")


def test_partitions_generated_columns_nulls_and_zeros(db):
    db.rows(
        f"CREATE TABLE t (id INT PRIMARY KEY, half INT GENERATED ALWAYS AS (id DIV 2) VIRTUAL, "
        f"v VECTOR({DIM})) PARTITION BY HASH (id) PARTITIONS 3"
    )
    rows = dict(enumerate(vectors_of(0, 300)))
    insert(db, "t (id, v)", rows.items())
    db.rows("INSERT INTO t (id) VALUES (1000)")
    db.rows("INSERT INTO t (id, v) VALUES (1001, %s)", (np.zeros(DIM, np.float32),))
    table = db.table("t")
    assert found(table, rows[0], k=400) == expected(rows, rows[0], k=400)
    db.rows("UPDATE t SET v = NULL WHERE id = 5")
    db.rows("UPDATE t SET v = %s WHERE id = 6", (np.zeros(DIM, np.float32),))
    del rows[5], rows[6]
    for _ in range(2):
        assert found(table, rows[0], k=400) == expected(rows, rows[0], k=400)
        below = {key: vector for key, vector in rows.items() if key < 100}
        assert found(table, rows[0], where="half<50") == expected(below, rows[0])
        table.index.refresh()
    assert table.index.check().is_consistent


@pytest.mark.parametrize("mode", ["ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "PIPES_AS_CONCAT", "ANSI"])
def test_any_sql_mode_of_the_server_and_of_writers(db, database_url, mode):
    before = db.rows("SELECT @@GLOBAL.sql_mode")[1][0][0]
    db.rows("SET GLOBAL sql_mode = %s", (mode,))
    try:
        with lookalike.connect(database_url) as theirs:
            theirs.rows(f"CREATE TABLE `g\\'o\"o` (id INT PRIMARY KEY, v VECTOR({DIM}))")
            table = theirs.table("g\\'o\"o", alias="goods")
            with theirs.session():
                theirs.rows("SET sql_mode = %s", (mode,))
                theirs.rows("INSERT INTO `g\\'o\"o` VALUES (1, %s)", (vectors_of(0, 1)[0],))
            assert table.search(vectors_of(0, 1)[0])[0].id == 1
            assert table.index.status().pending == 1
            table.index.drop()
    finally:
        db.rows("SET GLOBAL sql_mode = %s", (before,))


def test_a_table_that_is_renamed_or_dropped_is_told(db, goods):
    db.rows("RENAME TABLE goods TO wares")
    with pytest.raises(InputError, match="goods is called wares now: run lookalike index drop goo"):
        db.collection("goods")
    with pytest.raises(DatabaseError):
        goods[0].search(vectors_of(0, 1)[0])
    (status,) = db.tables()
    assert status.problems[0].startswith("table goods is called wares now: run lookalike")
    db.rows("DROP TABLE wares")
    with pytest.raises(InputError, match="goods of index 'goods' is gone: run lookalike index dr"):
        db.table("goods")
    db.drop_index("goods")
    assert names_of(db) == set() and db.tables() == []


def test_columns_that_are_altered_are_told(db, goods):
    db.rows("ALTER TABLE goods MODIFY v VECTOR(32)")
    with pytest.raises(DatabaseError, match="fingerprint.*lookalike index rebuild --collection g"):
        db.collection("goods").index.status()
    with pytest.raises(EmbeddingError, match="has 16 dimensions, not 32"):
        db.collection("goods").search(np.ones(32), exact=True)
    db.rows("UPDATE goods SET v = NULL")
    for key, vector in enumerate(np.random.default_rng(0).normal(size=(300, 32))):
        db.rows("UPDATE goods SET v = %s WHERE id = %s", (vector.astype(np.float32), key))
    wider = db.collection("goods")
    assert wider.index.build() and wider.index.check().is_consistent
    db.rows("ALTER TABLE goods RENAME COLUMN v TO w")
    db.rows("INSERT INTO goods VALUES (1000, NULL, 1)")  # the triggers do not stand in the way
    db.rows("UPDATE goods SET n = 7")
    with pytest.raises(InputError, match="goods has no column 'v' any more: run lookalike index d"):
        db.collection("goods")
    db.rows("ALTER TABLE goods RENAME COLUMN w TO v, DROP PRIMARY KEY")
    with pytest.raises(InputError, match="'id' of goods is no key any more: give it a UNIQUE"):
        db.collection("goods")


def test_truncate_fires_no_trigger_and_is_found(db, goods):
    table, _ = goods
    db.rows("TRUNCATE TABLE goods")
    assert table.search(vectors_of(0, 1)[0]) == []
    assert len(table.index.check().stale) == 300
    rows = dict(enumerate(vectors_of(1, 300)))
    insert(db, "goods", [(key, vector, 1) for key, vector in rows.items()])
    assert found(table, rows[3]) == expected(rows, rows[3])
    table.index.refresh()
    assert table.index.check().is_consistent
    assert found(table, rows[3]) == expected(rows, rows[3])


def test_cascades_of_foreign_keys_fire_no_trigger_and_are_found(db):
    db.rows("CREATE TABLE brands (id INT PRIMARY KEY)")
    db.rows("INSERT INTO brands VALUES (1), (2)")
    db.rows(
        f"CREATE TABLE goods (id INT PRIMARY KEY, brand INT, v VECTOR({DIM}), "
        "FOREIGN KEY (brand) REFERENCES brands (id) ON DELETE CASCADE)"
    )
    rows = dict(enumerate(vectors_of(0, 300)))
    insert(db, "goods", [(key, 1 + key % 2, vector) for key, vector in rows.items()])
    table = db.table("goods")
    db.rows("DELETE FROM brands WHERE id = 2")
    rows = {key: vector for key, vector in rows.items() if key % 2 == 0}
    assert found(table, rows[0]) == expected(rows, rows[0])
    assert table.index.status().pending == 0 and len(table.index.check().stale) == 150
    table.index.refresh()
    assert table.index.check().is_consistent
    assert found(table, rows[0]) == expected(rows, rows[0])


def test_an_interrupted_creation_is_finished_by_the_next(db, goods, monkeypatch):
    db.drop_index("goods")
    monkeypatch.setattr(db.dialect, "create_trigger", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        db.table("goods")
    monkeypatch.undo()
    status = db.table("goods").index.status()
    assert (status.kept, status.indexed, status.problems) == ("triggers", 300, ())


def test_an_account_that_may_only_read_searches(db, database_url, goods):
    table, rows = goods
    user = "u" + database_url.partition("?")[0][-12:]
    db.rows(f"CREATE USER {user}@localhost IDENTIFIED BY 'secret'")
    try:
        db.rows(f"GRANT SELECT ON {database_url.partition('?')[0][-17:]}.* TO {user}@localhost")
        db.rows("DELETE FROM goods WHERE id = 3")
        del rows[3]
        with lookalike.connect(database_url.replace("root@", f"{user}:secret@")) as reader:
            own = reader.table("goods")
            assert found(own, rows[0]) == expected(rows, rows[0])
            (problem,) = own.index.status().problems
            assert "this account, without TRIGGER, cannot see them" in problem
            for refused in (own.index.refresh, own.index.build, own.index.drop):
                with pytest.raises(DatabaseError, match="denied"):
                    refused()
        assert table.index.status().problems == () and table.index.status().pending == 1
        assert found(table, rows[0]) == expected(rows, rows[0])
    finally:
        db.rows(f"DROP USER {user}@localhost")


def test_a_creation_that_cannot_be_finished_leaves_nothing(db, goods, database_url, monkeypatch):
    db.drop_index("goods")
    before = {row[0] for row in db.rows("SHOW TABLES")[1]}
    reader = lookalike.connect(database_url)
    with reader:
        other = lookalike.connect(database_url)
        with other, other.session():
            other.rows("START TRANSACTION")
            other.rows("SELECT 1 FROM goods LIMIT 1")  # CREATE TRIGGER has to wait for it
            monkeypatch.setattr(reader.connection, "_alter_wait", 1)
            with pytest.raises(DatabaseError, match="end that transaction"):
                reader.table("goods")
    assert {row[0] for row in db.rows("SHOW TABLES")[1]} == before and db.tables() == []
    assert db.table("goods").index.status().indexed == 300
