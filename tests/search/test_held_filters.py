"""Filtered searches by an index that is held in memory."""

import numpy as np
import pytest

from lookalike.core.vectors import pack
from lookalike.index.memory import bytes_needed
from tests.search.shops import QUERIES, cosines
from tests.search.test_filtered import CASES

pytestmark = pytest.mark.slow

FIRST = "filter first, codes"


@pytest.fixture(params=[None, "float32"])
def held(large, request):
    collection = large.collection
    collection.upsert(large.vectors[:1], ids=[int(large.ids[0])])  # codes and log as after a change
    memory = bytes_needed(collection._state.index.load(), len(large.rows) + 100, request.param)
    with collection.hold_index(memory=memory) as held:
        assert held.wait(30) and held.status().precision == request.param
        yield held


def test_conditions_pass_what_python_passes(large, held):
    for where, passes in CASES:
        wanted = sum(map(passes, large.rows))
        least = 0.9 if wanted else 0
        assert least <= large.recall(QUERIES[:5], where, passes) <= 1, where


@pytest.mark.parametrize("share", [0.9, 0.5, 0.1, 0.05, 0.01, 0.003, 0.0005, 0])
def test_any_share_by_chance(large, held, share):
    where, most = f"rank<{share * 10_000}", share * 10_000
    recall = large.recall(QUERIES, where, lambda row: row["rank"] < most)
    assert recall >= (0.98 if share else 0)
    plan = large.plan(QUERIES[0], where)
    assert plan.endswith("then the filter") if share >= 0.05 else plan.startswith(FIRST)


def test_what_is_far_from_the_query(large, held):
    for kind in ("kind 3", "kind 7"):
        passes = {"kind": kind}
        recall = large.recall(QUERIES[:10], passes, lambda row, kind=kind: row["kind"] == kind)
        assert recall >= 0.98


def test_changes_are_seen(large, held):
    collection, query = large.collection, QUERIES[0]
    best = collection.search(query, where="rank<3000")[0].id
    collection.attributes.set([{"path": f"v{best - large.ids[0]}", "rank": 5000}])
    assert best not in [match.id for match in collection.search(query, where="rank<3000")]
    (new,) = collection.upsert([query], attributes=[{"rank": 1}])
    assert collection.search(query, where="rank<3000")[0].id == new
    assert collection.search(query, where="rank<3")[0].id == new
    collection.remove_rows([new])
    assert new not in [match.id for match in collection.search(query, where="rank<3000")]


def test_rows_of_other_programs_pass_or_not(large, held):
    collection, db = large.collection, large.collection._state.connection
    table, dialect = collection._state.table, collection._state.dialect
    db.execute(dialect.insert_with_ids(table, [(10**6, "theirs", pack(QUERIES[0]))]))
    assert 10**6 not in [match.id for match in collection.search(QUERIES[0], where="rank<5000")]
    assert collection.search(QUERIES[0], where="image_name=theirs")[0].id == 10**6


def test_pages_and_more_results_than_pass_near_the_query(large, held):
    query, passing = QUERIES[1], np.array([row["rank"] < 4000 for row in large.rows])
    scores = np.where(passing, cosines(large.vectors, query), -2)
    found = large.collection.search(query, k=300, where="rank<4000")
    assert len(found) == 300
    assert np.mean(np.isin([m.id for m in found], large.ids[np.argsort(-scores)[:300]])) > 0.97
    pages = [large.collection.search(query, k=20, offset=o, where="rank<4000") for o in (0, 20, 40)]
    assert len({match.id for page in pages for match in page}) == 60
