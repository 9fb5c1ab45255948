"""Filtered searches: exactly what passes, the nearest of it, however many that are."""

import json
import operator
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lookalike
from lookalike import Condition, DatabaseError, InputError
from lookalike.index import training

DIM = 32
N = 8000


def shapes(n, seed=0):
    """Rows in 20 clusters, and which cluster each is in."""
    rng = np.random.default_rng(seed)
    subjects = np.random.default_rng(99).standard_normal((20, DIM))
    cluster = rng.integers(0, 20, n)
    rows = subjects[cluster] + 0.6 * rng.standard_normal((n, DIM)) + 1
    return rows.astype(np.float32), cluster


def products(n, cluster, seed=0):
    """Attributes by chance (rank: from 0 to 10,000, price, tags) and by what is shown (kind)."""
    rng = np.random.default_rng(seed + 1)
    ranks = rng.permutation(n) * 10_000 / n
    return [
        {
            "rank": float(rank),
            "price": round(float(price), 2),
            "kind": f"kind {kind}",
            "code": f"{i % 50:03d}",
            "sale": bool(rank < 5000),
            "tags": ["summer", "new"] if rank < 100 else ["new"],
            **({"note": f"Item {i}, 100% 'fine'"} if i % 7 == 0 else {}),
        }
        for i, (rank, price, kind) in enumerate(
            zip(ranks, rng.gamma(2, 30, n), cluster, strict=True)
        )
    ]


def cosines(vectors, query):
    exact, q = vectors.astype(np.float64), query.astype(np.float64)
    return exact @ q / (np.linalg.norm(exact, axis=1) * np.linalg.norm(q))


class Shop:
    """A collection, and beside it what it holds."""

    def __init__(self, collection, n=N):
        self.collection = collection
        self.vectors, self.cluster = shapes(n)
        self.rows = products(n, self.cluster)
        names = [f"v{i}" for i in range(n)]
        self.ids = np.array(collection.add_embeddings(names, self.vectors))
        for row, name in zip(self.rows, names, strict=True):
            row["path"] = name

    def store(self):
        return self.collection.attributes.set(self.rows)

    def recall(self, queries, where, passes, k=10, **options):
        """The share of true neighbours that are found; the number of results is always right."""
        passing = np.array([passes(row) for row in self.rows])
        hits = wanted = 0
        for query in queries:
            scores = cosines(self.vectors[passing], query)
            kth = np.sort(scores)[::-1][: min(k, len(scores))]
            found = self.collection.search(query, k=k, where=where, **options)
            positions = np.searchsorted(self.ids, [match.id for match in found])
            assert len(found) == len(kth) == len(set(positions))
            assert passing[positions].all()
            hits += (
                np.sum(cosines(self.vectors[positions], query) >= kth[-1] - 1e-3) if found else 0
            )
            wanted += len(kth)
        return hits / max(wanted, 1)

    def plan(self, query, where, **options):
        return self.collection.explain(query, where=where, **options).plan


@pytest.fixture
def shop(engine):
    shop = Shop(engine.collection("shop", dim=DIM), 600)
    shop.store()
    return shop


@pytest.fixture
def large(db, monkeypatch):
    monkeypatch.setattr(training, "ROWS_FOR_CELLS", 2000)
    shop = Shop(db.collection("shop", dim=DIM))
    shop.store()
    return shop


QUERIES = shapes(25, seed=5)[0]
ANY = np.array([1, 1], np.float32)
"""A query of collections of two dims."""

CASES = [
    ("kind=kind 3", lambda row: row["kind"] == "kind 3"),
    ('kind!="kind 3"', lambda row: row["kind"] != "kind 3"),
    ("kind in (kind 3, kind 4)", lambda row: row["kind"] in ("kind 3", "kind 4")),
    ("kind not in (kind 3)", lambda row: row["kind"] != "kind 3"),
    ("kind<kind 3", lambda row: row["kind"] < "kind 3"),
    ("price<50", lambda row: row["price"] < 50),
    ("price<=12.5", lambda row: row["price"] <= 12.5),
    ("price>=100", lambda row: row["price"] >= 100),
    ("code=007", lambda row: row["code"] == "007"),
    ("code=7", lambda row: False),
    ("sale=true", lambda row: row["sale"]),
    ("sale!=true", lambda row: not row["sale"]),
    ("tags:summer", lambda row: "summer" in row["tags"]),
    ("tags:summe", lambda row: False),
    ("note~ITEM 7", lambda row: "item 7" in row.get("note", "").lower()),
    ("note~100%", lambda row: "note" in row),
    ("note!=x", lambda row: "note" in row),
]


def test_conditions_pass_what_python_passes(shop):
    for where, passes in CASES:
        wanted = sum(map(passes, shop.rows))
        assert shop.recall(QUERIES[:2], where, passes, k=600) == (1 if wanted else 0), where


def test_a_mapping_is_the_same_as_text(shop):
    query = QUERIES[0]
    asked = {"kind": ["kind 3", "kind 4"], "price": ("<", 50), "sale": True, "tags": (":", "new")}
    written = ["kind in (kind 3, kind 4)", "price<50", "sale=true", "tags:new"]
    found = shop.collection.search(query, k=600, where=asked)
    assert found == shop.collection.search(query, k=600, where=written) != []
    several = [Condition("price", "<", 50), "kind in (kind 3, kind 4)", "sale=true"]
    assert shop.collection.search(query, k=600, where=several) == found
    least = found[2].similarity - 1e-6
    assert shop.collection.search(query, where=asked, min_similarity=least) == found[:3]
    assert shop.collection.search(query, where=()) == shop.collection.search(query)


REFUSED = [
    ("price<cheap", "price<cheap: price is a number; 'cheap' is not a number"),
    ("price=cheap", "price is a number; 'cheap' is not"),
    ("maker=acme", "'shop' has no attribute 'maker'; it has code .text., kind"),
    ("Price<5", r"'shop' has no attribute 'Price' .did you mean 'price'"),
    ("id=5", "no attribute 'id'"),
    ("embedding=5", "no attribute 'embedding'"),
    ("code<7", 'code is text; to compare letter by letter, write code<"7"'),
    ("sale=maybe", "sale is true or false; 'maybe' is not"),
    ("sale<true", "sale is true or false; < compares numbers and texts"),
    ("tags=summer", "tags is a list; to find a value in the list, write tags:..."),
    ("tags<summer", "tags is a list; < compares numbers and texts"),
    ("kind:shoes", "kind is text; write kind=..."),
    ("price~5", "price is a number; ~ searches text only"),
    ("price", "cannot read the condition 'price'"),
    ("", "cannot read the condition ''"),
    ({"price": object()}, "object is not a value"),
]


def test_conditions_that_make_no_sense_are_refused(shop):
    for where, message in REFUSED:
        with pytest.raises(InputError, match=message):
            shop.collection.search(QUERIES[0], where=where)


def test_a_collection_without_attributes_says_how_to_give_it_some(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    with pytest.raises(
        InputError, match="'own' has no attributes.*lookalike add --attributes FILE"
    ):
        own.search(ANY, where="brand=acme")


# However many pass.


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.1, 0.5, 0.9])
def test_the_nearest_of_what_passes_by_chance(large, share):
    limit = share * 10_000
    recall = large.recall(QUERIES, {"rank": ("<", limit)}, lambda row: row["rank"] < limit)
    assert recall >= 0.99
    plan = large.plan(QUERIES[0], {"rank": ("<", limit)})
    assert plan == ("cells and codes" if share >= 0.5 else "filter first")


def test_the_nearest_where_what_is_near_does_not_pass(large):
    """Boots that are like a hat: the cells nearest to the query hold none."""
    queries, clusters = shapes(60, seed=6)
    for sign in ("=", "!="):
        recalls = []
        for query, kind in zip(queries, clusters, strict=True):
            name = f"kind {kind}"
            passes = partial(operator.eq if sign == "=" else operator.ne, name)
            where = f"kind{sign}{name}"
            recalls.append(large.recall([query], where, lambda row, p=passes: p(row["kind"])))
        assert np.mean(recalls) >= 0.99


def test_fewer_than_k_and_none(large):
    assert len(large.collection.search(QUERIES[0], k=50, where="rank<5")) == 4
    assert large.collection.search(QUERIES[0], where="rank<0") == []
    assert large.collection.search(QUERIES[0], where="kind=none") == []
    found = large.collection.search(QUERIES[0], k=10_000, where="rank<9000")
    assert len(found) == N * 9 // 10


@pytest.mark.parametrize("where", ["rank<9000", "rank<50", "rank<1000"])
def test_after_inserts_deletes_and_other_programs_rows(db, large, where):
    limit = float(where.removeprefix("rank<"))
    large.collection.remove_rows(large.ids[:3000].tolist())
    kept = large.ids[3000:]
    more, cluster = shapes(500, seed=8)
    new = products(500, cluster, seed=8)
    names = [f"new{i}" for i in range(500)]
    ids = large.collection.add_embeddings(names, more)
    large.collection.attributes.set(
        [{**row, "path": name} for row, name in zip(new, names, strict=True)]
    )
    near = QUERIES[:20] * np.float32(1.01)
    for i, vector in enumerate(near):  # above the tail: without codes
        db.rows(
            "INSERT INTO shop (image_name, embedding, attributes) VALUES ('x', %s, %s)",
            (vector, json.dumps({"rank": 0.5 if i % 2 else 9999.5})),
        )
    last = db.rows("SELECT MAX(id) FROM shop")[1][0][0]
    large.vectors = np.concatenate([large.vectors[3000:], more, near])
    theirs = [{"rank": 0.5 if i % 2 else 9999.5} for i in range(20)]
    large.rows = [*large.rows[3000:], *new, *theirs]
    large.ids = np.array([*kept, *ids, *range(last - 19, last + 1)])
    assert large.recall(QUERIES, where, lambda row: row["rank"] < limit) >= 0.99
    assert large.collection.search(QUERIES[1], k=1, where=where)[0].image_name == "x"


def test_every_way_to_search_is_filtered(large):
    where, passes = "rank<3000", lambda row: row["rank"] < 3000
    for options in ({"exact": True}, {"n_probes": 10_000, "oversampling": 900}, {"n_probes": 1}):
        assert large.recall(QUERIES[:5], where, passes, **options) == 1
    first = large.collection.search(QUERIES[0], k=10, where=where, exact=True)
    second = large.collection.search(QUERIES[0], k=5, offset=5, where=where)
    assert [match.id for match in second] == [match.id for match in first[5:]]
    least = first[4].similarity - 1e-9
    assert len(large.collection.search(QUERIES[0], where=where, min_similarity=least)) == 5


@pytest.mark.parametrize("where", ["rank<9000", "rank<10"])
def test_the_shown_statement_is_the_one_that_runs(large, where):
    statement = large.collection.search_sql(QUERIES[0], k=4, where=where)
    seen = []
    connection = large.collection._state.connection
    connection._tracer = seen.append
    found = large.collection.search(QUERIES[0], k=4, where=where)
    connection._tracer = None
    assert statement in seen and "JSON_VALUE" in str(statement)
    _, rows = connection.table(lookalike.Statement(str(statement)))
    assert {match.id for match in found} <= {row[0] for row in rows}


def test_gaps_between_ids(large):
    large.collection._state.connection.execute(
        lookalike.Statement("ALTER TABLE shop AUTO_INCREMENT=2000000000")
    )
    own = large.collection
    ids = own.add_embeddings(["far"], QUERIES[:1])
    own.attributes.set([{"path": "far", "rank": 1.0}])
    assert ids == [2_000_000_000]
    for where in ("rank<9000", "rank<50"):
        assert own.search(QUERIES[0], k=1, where=where)[0].id == ids[0]


def test_a_new_generation_is_followed(db, large):
    with lookalike.connect(url_of(db)) as other:
        reader = other.collection("shop")
        before = reader.search(QUERIES[0], where="rank<9000")
        assert large.collection.index.build()
        assert reader.search(QUERIES[0], where="rank<9000") == before
        assert reader.explain(QUERIES[0], where="rank<9000").plan == "cells and codes"


def url_of(db):
    url = db.connection.url
    return f"mysql://root@localhost/{url.database}?unix_socket={url.options['unix_socket']}"


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
    assert found("size!=40") == "cdef" and found("size not in (40, M)") == "def"


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
    for brand in ("acme", "other", None):
        vector = np.array([1, 1], np.float32)
        engine.rows("INSERT INTO shoes VALUES (NULL, 'x', %s, %s)", (vector, brand))
    shoes = engine.collection("shoes")
    assert [match.id for match in shoes.search(ANY, where="brand=acme")] == [1]
    assert [match.id for match in shoes.search(ANY, where="brand!=acme")] == [2]


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
    statement = shop.collection.search_sql(QUERIES[0], where=where, exact=True)
    row = db.rows(f"EXPLAIN FORMAT=TRADITIONAL {statement.sql}", statement.params)[1][0]
    return row[4], row[6]


def test_own_columns_can_be_indexed(columns, engine):
    for name in ("unit price", "kind", "tags", "code", "sale", "made"):
        assert columns.collection.attributes.index(name) is True
        assert columns.collection.attributes.index(name) is False
    engine.rows("ALTER TABLE shop ADD mine INT, ADD KEY (mine)")
    assert columns.collection.attributes.index("mine") is False
    with pytest.raises(InputError, match=r"'shop' has no attribute 'kin' .did you mean 'kind'"):
        columns.collection.attributes.index("kin")
    long = "l" * 64
    columns.collection.attributes.set([{"path": "v1", long: 1, "mixed": "a"}])
    columns.collection.attributes.set([{"path": "v2", "mixed": 2}])
    assert columns.collection.attributes.index(long) and columns.collection.attributes.index(
        "mixed"
    )
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
