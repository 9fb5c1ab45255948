"""Stored images without a query: in orders, by pages, counted, with their files."""

import hashlib
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from lookalike import InputError, StoredFile, ValueCount

pytestmark = pytest.mark.capability("browse")

N = 120
FOLDERS = ("rome", "Rome", "rome ", "oslo 100%", "a_b")
SUFFIXES = ("jpg", "JPG", "png", "")


class Album:
    """Rows of which a third have no file, and of each row what lookalike should know."""

    def __init__(self, db):
        chance = random.Random(3)
        self.collection = db.collection("album", dim=2)
        self.rows = {}
        attributes = []
        for row_id in range(1, N + 1):
            row = {"id": row_id, "image_name": chance.choice(["b", "B2", "a", "c10", ""])}
            if row_id % 3:
                folder, suffix = chance.choice(FOLDERS), chance.choice(SUFFIXES)
                name = f"i{row_id}" + (f".{suffix}" if suffix else "")
                row["path"] = f"/data/{folder}/{name}"
                row["modified"] = 1_600_000_000_000_000_000 + chance.randrange(40) * 10**13
                row["folder"], row["suffix"] = folder, suffix.lower()
            own = {
                "price": chance.choice([1, 2.5, 10, None]),
                "brand": chance.choice(["acme", "Acme", "nordic", None]),
                "tags": chance.choice([["new", "red"], ["red"], ["red", "red"], [], None]),
                "sale": chance.choice([True, False, None]),
                "mixed": chance.choice([3, "x", "3", True, ["x", 3], None]),
            }
            attributes.append({name: value for name, value in own.items() if value is not None})
            self.rows[row_id] = row | attributes[-1]
        vectors = np.random.default_rng(1).normal(size=(N, 2))
        names = [row["image_name"] for row in self.rows.values()]
        self.collection.upsert(vectors, names=names, attributes=attributes)
        self.add_files(db)

    def add_files(self, db):
        sql = "INSERT INTO album_files (id, path, content_hash, size, mtime_ns) VALUES "
        stored = [row for row in self.rows.values() if "path" in row]
        values = [
            (row["id"], row["path"], digest(row), 1000 + row["id"], row["modified"])
            for row in stored
        ]
        places = ", ".join(["(%s, %s, %s, %s, %s)"] * len(values))
        db.rows(sql + places, [value for row in values for value in row])

    def ids(self, key, *, reverse=False, passes=lambda row: True):
        """Ids in the order of a value, then of ids in the same direction; then those without."""
        rows = [row for row in self.rows.values() if passes(row)]
        known = [row for row in rows if value_of(row, key) is not None]
        known.sort(key=lambda row: (value_of(row, key), row["id"]), reverse=reverse)
        others = [row["id"] for row in rows if value_of(row, key) is None]
        return [row["id"] for row in known] + sorted(others, reverse=reverse)


def value_of(row, key):
    value = row.get(key)
    if key == "image_name":  # as the column is ordered
        value = value.casefold()
    return None if value == "" else value


def digest(row):
    return hashlib.sha256(row["path"].encode()).digest()


@pytest.fixture(scope="module")
def album(module_engine):
    return Album(module_engine)


def ids_of(items):
    return [item.id for item in items]


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "key",
    ["id", "image_name", "path", "modified", "folder", "suffix", "price", "brand"],
)
def test_images_come_in_an_order_by_pages(album, key, sign):
    expected = album.ids(key, reverse=bool(sign))
    assert ids_of(album.collection.browse(order_by=sign + key, k=N)) == expected
    pages = [
        ids_of(album.collection.browse(order_by=sign + key, k=25, offset=offset))
        for offset in range(0, N + 50, 25)
    ]
    assert [row_id for page in pages for row_id in page] == expected
    assert pages[-1] == []


def test_the_latest_come_first_unless_told(album):
    assert ids_of(album.collection.browse(k=3)) == [N, N - 1, N - 2]
    assert len(album.collection.browse()) == 60


@pytest.mark.parametrize("sign", ["", "-"])
def test_values_of_several_kinds_are_ordered_by_kind(album, sign):
    """As those of a search are."""
    found = ids_of(album.collection.browse(order_by=f"{sign}mixed", k=N))
    values = [album.rows[row_id].get("mixed") for row_id in found]
    known = [value for value in values if value is not None]
    assert None not in values[: len(known)] and len(set(map(str, known))) > 3
    ranked = [(RANKS[type(value)], value) for value in known]
    assert ranked == sorted(ranked, reverse=bool(sign))
    matches = album.collection.search([1.0, 0.5], k=N, order_by=f"{sign}mixed")
    assert [album.rows[match.id].get("mixed") for match in matches] == values


RANKS = {int: 0, bool: 0, str: 1, list: 2}


@pytest.mark.parametrize(
    ("where", "passes"),
    [
        ("folder=rome", lambda row: row.get("folder") == "rome"),
        ({"folder": ["Rome", "oslo 100%"]}, lambda row: row.get("folder") in ("Rome", "oslo 100%")),
        ("folder!=rome", lambda row: row.get("folder", "rome") != "rome"),
        ("folder~ROME", lambda row: "rome" in row.get("folder", "").lower()),
        ("folder is missing", lambda row: "folder" not in row),
        ("suffix=jpg", lambda row: row.get("suffix") == "jpg"),
        ("suffix=.JPG", lambda row: row.get("suffix") == "jpg"),
        ("suffix!=jpg", lambda row: row.get("suffix") not in (None, "", "jpg")),
        ("suffix is missing", lambda row: not row.get("suffix")),
        ("suffix is not missing", lambda row: row.get("suffix")),
        (
            "folder=a_b and suffix=png and modified is not missing",
            lambda row: (row.get("folder"), row.get("suffix")) == ("a_b", "png"),
        ),
        (
            "folder=a_b or price=10",
            lambda row: row.get("folder") == "a_b" or row.get("price") == 10,
        ),
        ("folder=rome and brand=acme", lambda row: both(row)),
        (
            "modified>=2020-09-14",
            lambda row: row.get("modified", 0) >= datetime(2020, 9, 14).timestamp() * 1e9,
        ),
    ],
)
def test_what_passes_is_browsed_and_counted(album, where, passes):
    for order_by in ("-id", "modified", "-price", "suffix"):
        key = order_by.removeprefix("-")
        expected = album.ids(key, reverse=order_by != key, passes=passes)
        assert ids_of(album.collection.browse(where=where, order_by=order_by, k=N)) == expected
        page = album.collection.browse(where=where, order_by=order_by, k=7, offset=5)
        assert ids_of(page) == expected[5:12]
    assert album.collection.count(where) == len(expected) > 0
    found = album.collection.search([1.0, 0.5], where=where, k=N)
    assert {match.id for match in found} == set(expected)


def both(row):
    return (row.get("folder"), row.get("brand")) == ("rome", "acme")


def test_only_what_is_asked_is_read(album):
    statements = []
    album.collection._state.connection._tracer = lambda each: statements.append(each.sql)
    items = album.collection.browse(k=5)
    album.collection._state.connection._tracer = None
    assert not [sql for sql in statements if "embedding" in sql or "attributes" in sql]
    assert len(statements) == 3
    item = items[1]
    assert (item.id, item.path) == (N - 1, Path(album.rows[N - 1]["path"]))
    assert item.embedding is None and item.attributes == {}
    (item,) = album.collection.browse(k=1, include=["attributes", "embedding"])
    assert item.embedding.shape == (2,)
    assert item.attributes == {
        key: value for key, value in album.rows[N].items() if key in ("price", "brand", "tags")
    } | {key: value for key, value in album.rows[N].items() if key in ("sale", "mixed")}


def test_files_tell_of_what_was_added(album):
    row = album.rows[4]
    assert album.collection.files([3, 4, 999]) == {
        4: StoredFile(
            Path(row["path"]),
            1004,
            datetime.fromtimestamp(row["modified"] // 10**9, UTC),
            digest(row),
        )
    }
    assert album.collection.files([]) == {}


@pytest.mark.parametrize("key", ["brand", "price", "sale", "folder", "suffix", "image_name"])
def test_values_are_counted(album, key):
    values = [row[key] for row in album.rows.values() if row.get(key) not in (None, "")]
    expected = Counter(map(repr, values))
    found = album.collection.attributes.counts(key)
    assert {repr(each.value): each.rows for each in found} == expected
    assert [each.rows for each in found] == sorted(expected.values(), reverse=True)
    assert album.collection.attributes.counts(key, limit=1) == found[:1]


def test_each_value_of_a_list_is_counted_once_an_image(album):
    tags = [row["tags"] for row in album.rows.values() if row.get("tags")]
    found = album.collection.attributes.counts("tags")
    expected = [
        ValueCount("red", len(tags)),
        ValueCount("new", sum("new" in each for each in tags)),
    ]
    assert found == expected


def test_values_of_several_kinds_are_counted_apart(album):
    values = [row["mixed"] for row in album.rows.values() if "mixed" in row]
    # Lists are of texts.
    items = [x for value in values for x in (map(str, value) if is_list(value) else [value])]
    found = album.collection.attributes.counts("mixed")
    assert {repr(each.value): each.rows for each in found} == Counter(map(repr, items))


def is_list(value):
    return isinstance(value, list)


def test_values_of_what_passes_are_counted(album):
    where = "suffix=jpg and price>1"
    passing = [
        row for row in album.rows.values() if row.get("suffix") == "jpg" and row.get("price", 0) > 1
    ]
    for key in ("folder", "brand"):
        expected = Counter(row[key] for row in passing if key in row)
        found = album.collection.attributes.counts(key, where=where)
        assert {each.value: each.rows for each in found} == expected != {}


def test_times_of_files_are_counted_as_times(album):
    counts = Counter(row["modified"] for row in album.rows.values() if "modified" in row)
    found = album.collection.attributes.counts("modified", limit=1000)
    assert {each.value.timestamp() * 1e9: each.rows for each in found} == counts
    most = found[0]
    assert album.collection.count({"modified": most.value}) == most.rows


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize(
    "key", ["modified", "path", "folder", "suffix", "image_name", "id", "price"]
)
def test_results_of_a_search_are_ordered_by_the_same(album, key, sign):
    matches = album.collection.search([1.0, 0.5], k=40, order_by=sign + key)
    chosen = {match.id for match in album.collection.search([1.0, 0.5], k=40)}
    values = [value_of(album.rows[match.id], key) for match in matches]
    known = [value for value in values if value is not None]
    assert {match.id for match in matches} == chosen
    assert values[: len(known)] == sorted(known, reverse=bool(sign))
    assert all(match.attributes is None for match in matches)


def test_an_attribute_goes_before_what_is_built_in(db):
    own = db.collection("own", dim=2)
    own.upsert(np.eye(2), attributes=[{"folder": "mine", "suffix": 5}, {"folder": "other"}])
    db.rows("INSERT INTO own_files VALUES (1, '/a/b.jpg', DEFAULT, REPEAT('x', 32), 1, 1)")
    assert ids_of(own.browse(where="folder=mine")) == [1]
    assert own.count("folder=a") == 0
    assert own.attributes.counts("suffix") == [ValueCount(5, 1)]
    assert ids_of(own.browse(order_by="-folder")) == [2, 1]


def test_a_table_of_ones_own_is_browsed(db):
    db.rows(
        "CREATE TABLE shoes (code INT PRIMARY KEY, title TEXT, price FLOAT, tags JSON, "
        "vector VECTOR(2))"
    )
    for code, title, price, tags in ((5, "b", 19.99, '["x"]'), (9, "a", 5, '["x", "y"]')):
        vector = np.array([code, 1], np.float32)
        db.rows("INSERT INTO shoes VALUES (%s, %s, %s, %s, %s)", (code, title, price, tags, vector))
    shoes = db.table("shoes", name="title")
    assert ids_of(shoes.browse()) == [9, 5]
    assert ids_of(shoes.browse(order_by="-price", where="price>6")) == [5]
    assert [item.image_name for item in shoes.browse(order_by="image_name")] == ["a", "b"]
    assert shoes.attributes.counts("price") == [ValueCount(5.0, 1), ValueCount(19.99, 1)]
    assert shoes.attributes.counts("tags") == [ValueCount("x", 2), ValueCount("y", 1)]
    assert shoes.count("price=19.99") == 1
    assert shoes.files([5]) == {}
    with pytest.raises(InputError, match="no attribute 'folder'"):
        shoes.browse(order_by="folder")


def test_nothing_is_browsed_where_nothing_is_stored(db):
    new = db.collection("new", dim=2)
    assert new.browse() == [] and new.count() == 0 and new.files([1]) == {}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda own: own.browse(order_by="colour"), "no attribute 'colour'"),
        (lambda own: own.browse(order_by=5), "order_by is 5"),
        (lambda own: own.browse(k=0), "k is 0; ask for 1 to 10,000 images"),
        (lambda own: own.browse(offset=-1), "offset is -1"),
        (lambda own: own.browse(include=["path"]), "'path' cannot be included"),
        (lambda own: own.count("colour=red"), "no attribute 'colour'"),
        (lambda own: own.attributes.counts("colour"), "no attribute 'colour'"),
        (lambda own: own.attributes.counts("brand", limit=0), "limit is 0"),
    ],
)
def test_what_cannot_be_asked_is_refused(album, call, message):
    with pytest.raises(InputError, match=message):
        call(album.collection)
