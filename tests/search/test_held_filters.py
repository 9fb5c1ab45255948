"""Filtered searches by an index that is held in memory."""

from contextlib import contextmanager

import numpy as np
import pytest

from lookalike.core.vectors import pack
from lookalike.index.memory import bytes_needed
from tests.search.shops import QUERIES, cosines
from tests.search.test_filtered import CASES

pytestmark = pytest.mark.nightly

FIRST = "filter first, codes"


PRECISIONS = [None, "float32"]


@contextmanager
def holding(shop, precision):
    collection = shop.collection
    collection.upsert(shop.vectors[:1], ids=[int(shop.ids[0])])  # codes and log as after a change
    memory = bytes_needed(collection._state.index.load(), len(shop.rows) + 100, precision)
    with collection.hold_index(memory=memory) as held:
        assert held.wait(30) and held.status().precision == precision
        yield shop


@pytest.fixture(scope="module", params=PRECISIONS)
def held(large_to_read, request):
    """A shop, held in memory, that tests only read."""
    with holding(large_to_read, request.param) as shop:
        yield shop


@pytest.fixture(params=PRECISIONS)
def own(large, request):
    """Such a shop of a test's own."""
    with holding(large, request.param) as shop:
        yield shop


def test_conditions_pass_what_python_passes(held):
    for where, passes in CASES:
        wanted = sum(map(passes, held.rows))
        least = 0.9 if wanted else 0
        assert least <= held.recall(QUERIES[:5], where, passes) <= 1, where


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.05, 0.01, 0.003, 0.0005, 0])
def test_any_share_by_chance(held, share):
    where, most = f"rank<{share * 10_000}", share * 10_000
    recall = held.recall(QUERIES, where, lambda row: row["rank"] < most)
    assert recall >= (0.98 if share else 0)
    plan = held.plan(QUERIES[0], where)
    assert plan.endswith("then the filter") if share >= 0.05 else plan.startswith(FIRST)


def test_what_is_far_from_the_query(held):
    for kind in ("kind 3", "kind 7"):
        passes = {"kind": kind}
        recall = held.recall(QUERIES[:10], passes, lambda row, kind=kind: row["kind"] == kind)
        assert recall >= 0.98


def test_changes_are_seen(own):
    collection, query = own.collection, QUERIES[0]
    best = collection.search(query, where="rank<3000")[0].id
    collection.attributes.set([{"path": f"v{best - own.ids[0]}", "rank": 5000}])
    assert best not in [match.id for match in collection.search(query, where="rank<3000")]
    (new,) = collection.upsert([query], attributes=[{"rank": 1}])
    assert collection.search(query, where="rank<3000")[0].id == new
    assert collection.search(query, where="rank<3")[0].id == new
    collection.remove_rows([new])
    assert new not in [match.id for match in collection.search(query, where="rank<3000")]


def test_rows_of_other_programs_pass_or_not(own):
    collection, db = own.collection, own.collection._state.connection
    table, dialect = collection._state.table, collection._state.dialect
    db.execute(dialect.insert_with_ids(table, [(10**6, "theirs", pack(QUERIES[0]))]))
    assert 10**6 not in [match.id for match in collection.search(QUERIES[0], where="rank<5000")]
    assert collection.search(QUERIES[0], where="image_name=theirs")[0].id == 10**6


def test_pages_and_more_results_than_pass_near_the_query(held):
    query, passing = QUERIES[1], np.array([row["rank"] < 4000 for row in held.rows])
    scores = np.where(passing, cosines(held.vectors, query), -2)
    found = held.collection.search(query, k=300, where="rank<4000")
    assert len(found) == 300
    assert np.mean(np.isin([m.id for m in found], held.ids[np.argsort(-scores)[:300]])) > 0.97
    pages = [held.collection.search(query, k=20, offset=o, where="rank<4000") for o in (0, 20, 40)]
    assert len({match.id for page in pages for match in page}) == 60
