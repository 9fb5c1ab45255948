"""Filtered searches: exactly what passes, the nearest of it, however many that are."""

import json
import operator
from functools import partial

import numpy as np
import pytest

import lookalike
from lookalike import Condition, InputError
from tests.search.shops import ANY, QUERIES, N, products, shapes, url_of

pytestmark = pytest.mark.capability("filters")

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
def test_the_nearest_of_what_passes_by_chance(large_to_read, share):
    limit = share * 10_000
    recall = large_to_read.recall(QUERIES, {"rank": ("<", limit)}, lambda row: row["rank"] < limit)
    assert recall >= 0.99
    plan = large_to_read.plan(QUERIES[0], {"rank": ("<", limit)})
    assert plan == ("cells and codes" if share >= 0.5 else "filter first")


@pytest.mark.nightly
def test_the_nearest_where_what_is_near_does_not_pass(large_to_read):
    """Boots that are like a hat: the cells nearest to the query hold none."""
    queries, clusters = shapes(60, seed=6)
    for sign in ("=", "!="):
        recalls = []
        for query, kind in zip(queries, clusters, strict=True):
            name = f"kind {kind}"
            passes = partial(operator.eq if sign == "=" else operator.ne, name)
            where = f"kind{sign}{name}"
            recalls.append(
                large_to_read.recall([query], where, lambda row, p=passes: p(row["kind"]))
            )
        assert np.mean(recalls) >= 0.99


def test_fewer_than_k_and_none(large_to_read):
    assert len(large_to_read.collection.search(QUERIES[0], k=50, where="rank<5")) == 4
    assert large_to_read.collection.search(QUERIES[0], where="rank<0") == []
    assert large_to_read.collection.search(QUERIES[0], where="kind=none") == []
    found = large_to_read.collection.search(QUERIES[0], k=10_000, where="rank<9000")
    assert len(found) == N * 9 // 10


def test_after_inserts_deletes_and_other_programs_rows(db, large):
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
    for limit in (9000, 50, 1000):
        where = f"rank<{limit}"
        assert large.recall(QUERIES, where, lambda row, n=limit: row["rank"] < n) >= 0.99
        assert large.collection.search(QUERIES[1], k=1, where=where)[0].image_name == "x"


def test_every_way_to_search_is_filtered(large_to_read):
    where, passes = "rank<3000", lambda row: row["rank"] < 3000
    for options in ({"exact": True}, {"n_probes": 10_000, "oversampling": 900}, {"n_probes": 1}):
        assert large_to_read.recall(QUERIES[:5], where, passes, **options) == 1
    first = large_to_read.collection.search(QUERIES[0], k=10, where=where, exact=True)
    second = large_to_read.collection.search(QUERIES[0], k=5, offset=5, where=where)
    assert [match.id for match in second] == [match.id for match in first[5:]]
    least = first[4].similarity - 1e-9
    assert len(large_to_read.collection.search(QUERIES[0], where=where, min_similarity=least)) == 5


@pytest.mark.parametrize("where", ["rank<9000", "rank<10"])
def test_the_shown_statement_answers_by_itself(large_to_read, where):
    statement = large_to_read.collection.search_sql(QUERIES[0], k=4, where=where)
    assert "JSON_VALUE" in str(statement)
    found = large_to_read.collection.search(QUERIES[0], k=4, where=where)
    connection = large_to_read.collection._state.connection
    _, rows = connection.table(lookalike.Statement(str(statement)))
    assert [row[0] for row in rows] == [match.id for match in found]
    assert [row[2] for row in rows] == pytest.approx([match.similarity for match in found])


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
