"""Filters by columns of the user's own, and by what other programs store."""

import datetime
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from lookalike import Condition, DatabaseError, InputError, UnsupportedServer
from lookalike.attributes.catalog import filter_of
from tests.search.shops import ANY, DIM, QUERIES, Shop

pytestmark = pytest.mark.capability("columns")

# Columns of the user's own.


@pytest.fixture
def columns(engine):
    shop = Shop(engine.collection("shop", dim=DIM), 600)
    engine.rows(
        "ALTER TABLE shop ADD `unit price` DECIMAL(10, 2), ADD kind VARCHAR(50), ADD sale BOOLEAN, "
        "ADD tags JSON, ADD code TEXT, ADD made DATE"
    )
    for row in shop.rows:
        row["unit price"] = row.pop("price")
        row["made"] = f"2024-{1 + int(row['rank']) % 12:02d}-15"
    report = shop.store()
    assert report.stored == 600
    return shop


COLUMNS = [
    ("kind=KIND 3", lambda row: row["kind"] == "kind 3"),  # as the column's collation has it
    ("kind!=kind 3", lambda row: row["kind"] != "kind 3"),
    ("unit price<50", lambda row: row["unit price"] < 50),
    ("UNIT PRICE>=50", lambda row: row["unit price"] >= 50),
    ("sale=true", lambda row: row["sale"]),
    ("sale=0", lambda row: not row["sale"]),
    ("tags:summer", lambda row: "summer" in row["tags"]),
    ("code=007", lambda row: row["code"] == "007"),
    ("kind~IND 1", lambda row: "ind 1" in row["kind"]),
    ("made>=2024-07-01", lambda row: row["made"] >= "2024-07-01"),
    ({"made": (">=", datetime.date(2024, 7, 1))}, lambda row: row["made"] >= "2024-07-01"),
    ("tags not in (summer)", lambda row: "summer" not in row["tags"]),
    ("tags is missing or kind is null or kind=kind 3", lambda row: row["kind"] == "kind 3"),
    ("tags is not missing and kind!~IND 1", lambda row: "ind 1" not in row["kind"]),
    ("KIND=kind 3 or rank<50", lambda row: row["kind"] == "kind 3" or row["rank"] < 50),
    (["rank<5000", "unit price<50"], lambda row: row["rank"] < 5000 and row["unit price"] < 50),
]


def test_own_columns_are_filtered_by(columns):
    for where, passes in COLUMNS:
        assert columns.recall(QUERIES[:2], where, passes, k=600) == 1, where


def test_own_columns_are_set_instead_of_json(columns, engine):
    keys = engine.rows("SELECT DISTINCT JSON_KEYS(attributes) FROM shop WHERE id <> 1")[1]
    assert {key for (row,) in keys for key in json.loads(row)} == {"note", "rank"}
    stored = engine.rows("SELECT `unit price`, kind, sale, tags, code FROM shop WHERE id = 8")[1][0]
    row = columns.rows[7]
    expected = (row["unit price"], row["kind"], row["sale"], row["tags"], row["code"])
    assert (float(stored[0]), *stored[1:3], json.loads(stored[3]), stored[4]) == expected


def test_a_value_that_a_column_cannot_hold_changes_nothing(columns, engine):
    before = engine.rows("SELECT * FROM shop ORDER BY id")[1]
    rows = [{"path": f"v{i}", "rank": -1, "kind": "k" * (51 if i == 3 else 1)} for i in range(9)]
    with pytest.raises(DatabaseError, match="the rows, row 4: .* for column 'kind'"):
        columns.collection.attributes.set(rows)
    with pytest.raises(
        InputError, match="row 2: unit price is 'n/a'; column unit price of 'shop' t"
    ):
        columns.collection.attributes.set(
            [{"path": "v1", "unit price": 5}, {"path": "v2", "unit price": "n/a"}]
        )
    with pytest.raises(InputError, match="row 1: kind is .'a'.; column kind of 'shop' takes texts"):
        columns.collection.attributes.set([{"path": "v1", "kind": ["a"]}])
    after = engine.rows("SELECT * FROM shop ORDER BY id")[1]
    assert str(after) == str(before)


def test_names_of_the_searchs_own_columns_do_not_clash(db, large):
    names = ("scale", "cell", "p0", "base", "v", "probes", "shortlist")
    db.rows("ALTER TABLE shop " + ", ".join(f"ADD {name} INT" for name in names))
    db.rows("UPDATE shop SET " + ", ".join(f"{name} = id % 10" for name in names))
    for row, row_id in zip(large.rows, large.ids.tolist(), strict=True):
        row["n"] = row_id % 10
    for name in names:
        where = f"{name}<9"
        assert large.plan(QUERIES[0], where) == "cells and codes"
        assert large.recall(QUERIES[:4], where, lambda row: row["n"] < 9) >= 0.97


# Attributes that come, change and go.


def test_attributes_are_merged_and_removed(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 1], [1, 0]])
    own.attributes.set([{"path": "a", "brand": "acme", "price": 5, "tags": ["x"]}])
    report = own.attributes.set([{"path": "a", "price": None, "tags": ["y", "y", 3]}])
    assert (report.rows, report.stored, report.without) == (1, 1, 1)
    assert report.kinds == {"tags": "list"} and report.unmatched == ()
    ((stored,),) = engine.rows("SELECT attributes FROM own WHERE id = 1")[1]
    assert json.loads(stored) == {"brand": "acme", "tags": ["y", "3"]}
    assert [m.image_name for m in own.search(ANY, where="tags:3")] == ["a"]
    assert own.search(ANY, where="price<9") == own.search(ANY, where="price!=9") == []
    assert engine.rows("SELECT attributes FROM own WHERE id = 2")[1] == [(None,)]


def test_mixed_kinds_keep_apart(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abcdef"), [[1, i] for i in range(6)])
    values = [40, "40", "M", 41, ["40"], True]
    own.attributes.set([{"path": p, "size": v} for p, v in zip("abcdef", values, strict=True)])

    def found(where):
        return "".join(sorted(match.image_name for match in own.search(ANY, where=where)))

    assert found("size=40") == "ab" and found('size="40"') == "ab"
    assert found("size<41") == "a" and found("size>=40") == "ad"
    assert found("size>L") == "M".replace("M", "c") + "f"  # true is a text to an order
    assert found("size=M") == "c" and found("size:40") == "e" and found("size=true") == "f"
    assert found("size!=40") == "cdef"
    assert found("size in (40, M)") == "abce" and found("size not in (40, M)") == "df"


def test_a_float_column_holds_what_was_written(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abc"), [[1, i] for i in range(3)])
    engine.rows("ALTER TABLE own ADD price FLOAT")
    prices = {"a": 19.99, "b": 0.1, "c": 5}
    own.attributes.set([{"path": path, "price": price} for path, price in prices.items()])

    def found(where):
        return "".join(sorted(match.image_name for match in own.search(ANY, where=where)))

    assert found("price=19.99") == "a" and found("price!=19.99") == "bc"
    assert found("price<=0.1") == "b" and found("price<0.1") == "" and found("price>0.1") == "ac"
    assert found("price in (0.1, 5)") == "bc" and found({"price": ("<", 1e300)}) == "abc"


def test_attributes_of_other_programs_are_found(engine, shop):
    engine.rows("UPDATE shop SET attributes = JSON_SET(attributes, '$.theirs', id) WHERE id < 9")
    assert len(shop.collection.search(QUERIES[0], k=99, where="theirs<5")) == 4
    with pytest.raises(InputError, match="theirs .number."):
        shop.collection.search(QUERIES[0], where="nobodys<5")


def test_a_null_of_json_is_missing(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(list("abc"), [[1, i] for i in range(3)])
    engine.rows("ALTER TABLE own ADD plan JSON")
    own.attributes.set([{"path": "a", "n": 1, "m": 1, "tags": ["x"], "plan": ["x"]}])
    own.attributes.set([{"path": "c", "m": "x"}])
    null = '{"n": null, "m": null, "tags": null}'
    engine.rows("UPDATE own SET attributes = %s, plan = 'null' WHERE id = 2", (null,))

    def found(where):
        return "".join(sorted(match.image_name for match in own.search(ANY, where=where)))

    for name in ("n", "m", "tags", "plan"):
        has = "ac" if name == "m" else "a"
        assert found(f"{name} is missing") == "".join(sorted({*"abc"} - {*has}))
        assert found(f"{name} is not missing") == has
        assert found(f"{name} not in (9, 10)") == has
    assert found("n!=9") == "a" and found("m!=9") == "ac"
    assert {each.name: each.rows for each in own.attributes.list()} == {
        "m": 2,
        "n": 1,
        "plan": 1,
        "tags": 1,
    }


def test_attributes_go_before_what_every_image_has(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a", ""], [[1, 1], [1, 2]])
    assert [m.id for m in own.search(ANY, where="image_name is missing")] == [2]
    assert own.search(ANY, where="image_name!=a") == own.search(ANY, where="modified<2030") == []
    assert len(own.search(ANY, where="path is missing")) == 2
    own.attributes.set([{"path": "a", "modified": "by hand"}])
    engine.rows("ALTER TABLE own ADD Path VARCHAR(20) DEFAULT 'theirs'")
    assert [m.id for m in own.search(ANY, where="modified=by hand")] == [1]
    assert len(own.search(ANY, where="path=theirs")) == 2
    with pytest.raises(
        InputError, match="did you mean 'image_name'.*modified .text., folder .text., image_name"
    ):
        own.search(ANY, where="imagename=a")


def test_a_column_named_attributes_of_another_type_is_refused(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    engine.rows("ALTER TABLE own ADD attributes TEXT")
    with pytest.raises(InputError, match="column attributes of 'own' has type text"):
        own.attributes.set([{"path": "a", "brand": "acme"}])
    engine.rows("ALTER TABLE own ADD brand TEXT")
    assert own.attributes.set([{"path": "a", "brand": "acme"}]).stored == 1
    assert len(own.search(ANY, where="brand=acme")) == 1


def test_a_dropped_collection_leaves_no_attributes_to_the_next(engine, shop):
    engine.rows("DROP TABLE shop_files, shop")
    again = engine.collection("shop", dim=2)
    again.add_embeddings(["a"], [[1, 1]])
    with pytest.raises(InputError, match="'shop' has no attributes"):
        again.search(ANY, where="price<5")


def test_a_table_of_the_users_own_is_filtered_by_its_columns(engine):
    engine.rows(
        "CREATE TABLE shoes (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        "embedding VECTOR(2), brand VARCHAR(20))"
    )
    if engine.rows("SHOW CHARACTER SET LIKE 'latin1'")[1]:
        engine.rows("ALTER TABLE shoes MODIFY image_name VARCHAR(255) CHARACTER SET latin1")
    for brand in ("acme", "other", None):
        vector = np.array([1, 1], np.float32)
        engine.rows("INSERT INTO shoes VALUES (NULL, 'Größe', %s, %s)", (vector, brand))
    shoes = engine.collection("shoes")
    assert [match.id for match in shoes.search(ANY, where="brand=acme")] == [1]
    assert [match.id for match in shoes.search(ANY, where="brand!=acme")] == [2]
    assert [match.id for match in shoes.search(ANY, where="brand is missing")] == [3]
    # A simple collation does not know that a capital ß is SS.
    capitals = "GRÖßE" if "general" in engine.dialect.folding_collation else "GRÖSSE"
    assert len(shoes.search(ANY, where=f"image_name=Größe and image_name~{capitals}")) == 3
    assert shoes.search(ANY, where="image_name=größe") == []
    with pytest.raises(InputError, match="'shoes' has no attribute 'path'; it has brand"):
        shoes.search(ANY, where="path~x")


# Which row is of which image.


def test_rows_of_no_image_and_of_one_image_twice(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a", "b", "b", "c"], [[1, 1]] * 4)
    report = own.attributes.set([{"path": p, "n": 1} for p in ("a", "x", "b", "A")])
    assert report.stored == 1 and report.without == 3
    assert report.unmatched == ("row 2: x", "row 3: b (several images have this name)", "row 4: A")
    with pytest.raises(InputError, match="the rows, row 2: a is the same image as in row 1"):
        own.attributes.set([{"path": "a", "n": 1}, {"path": "a", "n": 2}])
    with pytest.raises(InputError, match="no path in the rows is an image stored in 'own' .row 1"):
        own.attributes.set([{"path": "y", "n": 1}])
    with pytest.raises(InputError, match="there is no collection 'none'"):
        engine.collection("none", dim=2).attributes.set([{"path": "y", "n": 1}])


def test_paths_are_relative_to_the_file_or_a_folder_or_whole(engine, photos, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "in")
    for i, name in enumerate(("in/cat.jpg", "in/deep/cat.jpg", "bee.jpg", "in/moose.webp")):
        bytes_ = (photos / name.split("/")[-1]).read_bytes()
        (tmp_path / name).write_bytes(bytes_ + bytes([i]))
    images = engine.collection("images", model="efficientnet-lite2")
    images.add(tmp_path)
    file = tmp_path / "in" / "deep" / "products.csv"
    file.write_text(
        "path,n\n"
        "cat.jpg,1\n"  # beside the file, before the name of another
        f"{tmp_path}/link/cat.jpg,2\n"
        "in/moose.webp,3\n"  # its name
        "../../bee.jpg,4\n"
    )
    assert images.attributes.set(file).stored == 4
    numbers = "SELECT image_name, JSON_EXTRACT(attributes, '$.n') FROM images"
    assert {name: int(n) for name, n in engine.rows(numbers)[1]} == {
        "in/deep/cat.jpg": 1,
        "in/cat.jpg": 2,
        "in/moose.webp": 3,
        "bee.jpg": 4,
    }
    elsewhere = tmp_path / "in" / "deep" / "more.csv"
    elsewhere.write_text("path,n\nmoose.webp,5\n")
    with pytest.raises(InputError, match="relative to .*deep, or to the folders"):
        images.attributes.set(elsewhere)
    assert images.attributes.set(elsewhere, tmp_path / "link").stored == 1
    found = images.search(1, where="n=5", exclude_self=False)
    assert [match.image_name for match in found] == ["in/moose.webp"]


# Indexes.


def test_an_attributes_index_serves_its_searches(db, large):
    for name, where in (
        ("rank", "rank<50"),
        ("code", "code=007"),
        ("tags", "tags:summer"),
        ("kind", ["kind in (kind 3, kind 4)", "price>5"]),
        ("sale", "sale=true"),
    ):
        before = large.collection.search(QUERIES[0], k=50, where=where, exact=True)
        assert access(db, large, where) == ("ALL", None)
        assert large.collection.attributes.index(name) is True
        assert large.collection.attributes.index(name) is False
        kind, index = access(db, large, where)
        if name != "sale":  # half of the rows: the server may well read all
            assert kind in ("ref", "range") and index.endswith(f"_{name}")
        assert large.collection.search(QUERIES[0], k=50, where=where, exact=True) == before


def access(db, shop, where):
    table = shop.collection._state.table
    statement = table.dialect.all_rows(table, filter_of(table, where))
    row = db.rows(f"EXPLAIN FORMAT=TRADITIONAL {statement.sql}", statement.params)[1][0]
    return row[4], row[6]


def test_own_columns_can_be_indexed(columns, engine):
    names = ["unit price", "kind", "tags", "code", "sale", "made"]
    if "list" in engine.dialect.unindexed_kinds:
        names.remove("tags")
        with pytest.raises(UnsupportedServer, match="cannot index lists, as 'tags' has"):
            columns.collection.attributes.index("tags")
    for name in names:
        assert columns.collection.attributes.index(name) is True
        assert columns.collection.attributes.index(name) is False
    engine.rows("ALTER TABLE shop ADD mine INT, ADD KEY (mine)")
    assert columns.collection.attributes.index("mine") is False
    with pytest.raises(InputError, match=r"'shop' has no attribute 'kin' .did you mean 'kind'"):
        columns.collection.attributes.index("kin")
    long = "l" * 64
    columns.collection.attributes.set([{"path": "v1", long: 1, "mixed": "a"}])
    columns.collection.attributes.set([{"path": "v2", "mixed": 2}])
    for name in (long, "mixed"):  # in JSON
        if "text" in engine.dialect.unindexed_kinds:
            with pytest.raises(UnsupportedServer, match=f"cannot index .*, as '{name}' has"):
                columns.collection.attributes.index(name)
        else:
            assert columns.collection.attributes.index(name)
    text = "x" * 1000  # longer than the index can hold
    columns.collection.attributes.set([{"path": "v3", "mixed": text}])
    assert [m.id for m in columns.collection.search(QUERIES[0], where="mixed~xxx")] == [4]


# Nothing that is asked for is taken for SQL.


def test_whatever_is_stored_is_found_and_nothing_else(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 1], [1, 0]])
    names = st.from_regex(lookalike.dialects.ATTRIBUTE_NAME, fullmatch=True).filter(
        lambda name: name.lower() not in ("id", "image_name", "embedding", "attributes", "path")
    )
    texts = st.text(max_size=50) | st.sampled_from(
        ["' OR 1=1 -- ", '"', "\\", "%s", "%", "`", "\0"]
    )

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(name=names, value=texts)
    def check(name, value):
        own.attributes.set([{"path": "a", name: value}, {"path": "b", name: value + "x"}])
        condition = Condition(name, "=", value)
        for where in (
            {name: value},
            str(condition),
            [condition, f"{Condition(name, 'in', (value,))}"],
        ):
            assert [match.id for match in own.search(ANY, where=where)] == [1]
        assert [match.id for match in own.search(ANY, where={name: ("!=", value)})] == [2]
        own.attributes.set([{"path": p, name: [value[:50]]} for p in "ab"])
        assert len(own.search(ANY, where={name: (":", value[:50])})) == 2
        own.attributes.set([{"path": p, name: None} for p in "ab"])

    check()
    assert own.count() == 2
