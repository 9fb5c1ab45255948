"""TiDB's statements, by its documentation: no server could be had.

What MySQL understands too is run there.
"""

import json
import re

import numpy as np
import pytest

import lookalike
from lookalike.core.vectors import pack, unpack
from lookalike.database.errors import Deadlock, translated
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Dialect, Filter, Table
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.registry import DIALECTS
from lookalike.dialects.tidb import TiDB
from tests.engines.everything import use_everything

TABLE = Table("own")
QUERY = np.array([0.1, -0.0, 2.5], np.float32)
TEXT = "[0.10000000149011612,-0.0,2.5]"


def nearest(metric, **options):
    return TiDB().nearest(TABLE, metric, pack(QUERY), 5, **options)


def test_it_is_recognised_by_its_own_function():
    assert TiDB in DIALECTS
    (probe,) = TiDB().probes()
    assert probe.sql == "SELECT VEC_L2_DISTANCE('[1]', '[3]') = 2"


def test_vectors_are_bound_and_read_as_texts():
    statement = TiDB().insert_embeddings(TABLE, [("a", pack(QUERY))])
    assert statement.params == ("a", TEXT)
    assert TiDB().update_embedding(TABLE, 1, pack(QUERY)).params == (TEXT, 1)
    assert "VEC_AS_TEXT(embedding) AS embedding" in TiDB().embeddings(TABLE, [1]).sql
    # The server prints a float32 with as few digits as identify it.
    random = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    printed = [f"[{','.join(np.format_float_positional(x, trim='-') for x in v)}]" for v in random]
    assert unpack(printed, 7).tobytes() == random.tobytes()
    assert unpack([TiDB().vector(pack(v)) for v in random], 7).tobytes() == random.tobytes()


@pytest.mark.parametrize(
    ("metric", "function", "sign"),
    [("cosine", "VEC_COSINE_DISTANCE", "1 - "), ("euclidean", "VEC_L2_DISTANCE", "-")],
)
def test_its_index_needs_a_bare_order_by_and_no_where(metric, function, sign):
    statement = nearest(metric)
    inner = re.search(r"\(\n(.*)\n\) AS found", statement.sql, re.S)[1]
    assert inner.endswith(f" AS v ORDER BY {function}(embedding, %s) LIMIT %s")
    assert "WHERE" not in inner
    assert f"{sign}{function}(embedding, %s) AS similarity" in inner
    assert statement.params == (TEXT, TEXT, 5)


def test_other_searches_compare_every_row_and_break_ties_by_id():
    where = Filter("v.price < %s", (3,))
    for statement in (nearest("cosine", exact=True), nearest("cosine", where=where)):
        assert "embedding, %s) IS NOT NULL" in statement.sql  # of zeros
        assert statement.sql.endswith("ORDER BY VEC_COSINE_DISTANCE(embedding, %s), id LIMIT %s")
        assert statement.sql.count("%s") == len(statement.params)
    assert nearest("cosine", where=where).params == (TEXT, TEXT, 3, TEXT, 5)


def test_no_index_serves_the_dot_product():
    statement = nearest("dot")
    # Negated, so that the nearest come first.
    assert "-VEC_NEGATIVE_INNER_PRODUCT(embedding, %s) AS similarity" in statement.sql
    assert statement.sql.endswith("ORDER BY VEC_NEGATIVE_INNER_PRODUCT(embedding, %s), id LIMIT %s")
    assert TiDB.indexed_metrics == {"cosine", "euclidean"}


def test_an_index_needs_a_columnar_replica_first():
    replica, index = TiDB().create_server_index(TABLE, "euclidean")
    assert replica.sql == "ALTER TABLE `own` SET TIFLASH REPLICA 1"
    assert (
        index.sql == "CREATE VECTOR INDEX lookalike_vectors ON `own` ((VEC_L2_DISTANCE(embedding)))"
    )
    assert not TiDB.needs_server_index  # a cluster may have no such node


def test_rows_are_locked_for_update_as_for_share_locks_nothing():
    assert TiDB().ids_among(TABLE, [1], lock="share nowait").sql.endswith("FOR UPDATE NOWAIT")
    assert "SHARE" not in "".join(TiDB.locks.values())


@pytest.mark.parametrize("code", [8002, 8022, 8028, 9007])
def test_conflicts_are_retried_like_deadlocks(code):
    import pymysql

    url = DatabaseURL.parse("tidb://root@host/db")
    assert isinstance(translated(pymysql.err.OperationalError(code, "x"), url), Deadlock)


# What both understand.


class OnMySQL(TiDB):
    """TiDB's SQL for all that is no vector: a MySQL with the stored function DISTANCE runs it."""

    has_explain_table = has_checksums = True
    indexed_metrics = frozenset()
    vector, vector_bytes = Dialect.vector, Dialect.vector_bytes
    nearest = MySQLNative.nearest
    sends_text = False


UNKNOWN_TO_TIDB = r"JSON_TABLE|JSON_VALUE|\bROW\(|LATERAL|FOR SHARE|SHARE MODE|BIT_COUNT|TRIGGER"


def test_it_is_sent_nothing_that_it_does_not_know(database_url, photos, embedded_model):
    """By its documentation; MySQL runs the statements and returns what the other engines do."""
    sent = []
    with lookalike.connect(database_url, tracer=lambda statement: sent.append(statement.sql)) as db:
        db.install_functions()
        db.dialect = OnMySQL()
        sent.clear()
        use_everything(db)
        images = db.collection("photos", model=embedded_model)
        images.add(photos / "cat.jpg", photos / "bee.jpg", facts=True)
        images.duplicates.find(tier="identical")
        assert images.search("cat.jpg", where="format=jpeg")[0].image_name == "bee.jpg"
    assert [sql for sql in sent if re.search(UNKNOWN_TO_TIDB, sql)] == []
    assert len(sent) > 100


def test_items_of_lists_without_json_table(db):
    """What is no list is an item, as JSON_TABLE takes it."""
    db.rows("CREATE TABLE t (id INT PRIMARY KEY, a JSON)")
    for i, value in enumerate([["x", 1, None], [], "x", 5, [["x"]], {"b": [1]}, None]):
        db.rows("INSERT INTO t VALUES (%s, %s)", (i, json.dumps(value)))
    found = []
    for dialect in (TiDB(), Dialect()):
        table, item = dialect.items_table("t.a")
        rows = db.rows(f"SELECT t.id, {item} FROM t JOIN {table}")[1]
        found.append(sorted(str(row) for row in rows if row[1] not in (None, "null")))
    assert found[0] == found[1] and len(found[0]) == 6


def test_values_without_json_value_are_those_of_json_value(db):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY, attributes JSON)")
    values = ["a", "A ", "", "é", "12", 12, -1.5, 2**63, True, None, [1], {"a": 1}]
    for i, value in enumerate([*values, ...]):
        stored = {} if value is ... else {"x": value}
        db.rows("INSERT INTO t VALUES (%s, %s)", (i, json.dumps(stored)))
    text = TiDB().json_value("attributes", "'$.x'", "CHAR(512)")
    number = TiDB().json_value("attributes", "'$.x'", "DOUBLE")
    rows = db.rows(f"SELECT {text}, {number} FROM t ORDER BY id")[1]
    texts = ["a", "A ", "", "é", "12", "12", "-1.5", str(2**63), "true", None, None, None, None]
    assert [row[0] for row in rows] == texts
    numbers = [row[1] for row in rows]
    assert numbers == [*[None] * 5, 12, -1.5, 2.0**63, *[None] * 5]


def test_keys_without_json_table_are_those_of_json_table(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b", "c"], [[1, 1], [1, 0], [2, 1]])
    own.attributes.set([{"path": "a", "x": 1, "a b.c-d": "t"}, {"path": "b", "x": "z"}])
    expected = db.rows(*db.dialect.stored_attributes(TABLE))[1]
    assert sorted(db.rows(*TiDB().stored_attributes(TABLE))[1]) == sorted(expected)
    assert len(expected) == 3


def test_a_table_of_values_without_values(db):
    table = TiDB().values_table("new", ["id", "name"], 3)
    rows = db.rows(f"SELECT new.name, new.id FROM {table}", (1, "a", 2, None, 3, "c"))[1]
    assert rows == [("a", 1), (None, 2), ("c", 3)]


def test_what_a_cluster_spreads_by_itself_is_not_partitioned():
    made = TiDB().create_collection(TABLE, 3).sql
    assert "PARTITION" not in made and "id INT PRIMARY KEY AUTO_INCREMENT" in made
    # Side tables refer to it by foreign keys, which TiDB's partitioned tables cannot have.
    assert "FOREIGN KEY (id) REFERENCES `own` (id)" in TiDB().create_files(TABLE, "INT").sql
    assert TiDB().shard_settings == {}
