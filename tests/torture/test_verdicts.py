"""The torture run's own judgement: each broken promise is told, and a kept one is not."""

import numpy as np
import pytest

from lookalike.core.types import METRICS
from tests.torture import data
from tests.torture.journal import DONE, FAILED, UNDONE, Action
from tests.torture.round import RoundResult, plan_round
from tests.torture.settings import DISK_FULL, SETTINGS
from tests.torture.snapshot import StoredRow
from tests.torture.summary import Summary
from tests.torture.timeline import Timeline
from tests.torture.verify_rows import judge_rows
from tests.torture.verify_searches import judge_pages, judge_searches, similarities
from tests.torture.visible import ADDED, RowsOfTable, RowsOfTimeline

DIM = 32
N = 40


def action(kind, began, outcome=DONE, result=None, **given) -> Action:
    ended = float("inf") if outcome == "cut short" else began + 1
    return Action("writer1", kind, given, began, ended, outcome, result or {})


def added(outcome=DONE, batch="writer1.1", began=1.0, **given) -> Action:
    ids = {"ids": list(range(1, N + 1))} if outcome == DONE else {}
    return action("add", began, outcome, ids, batch=batch, n=N, **given)


def stored(batch="writer1.1", rows=range(N), first=1) -> list[StoredRow]:
    vectors = data.embeddings(batch, N, DIM)
    return [StoredRow(first + i, data.row_name(batch, i), vectors[i].tobytes(), None) for i in rows]


def kinds(rows, *actions) -> set[str]:
    problems = judge_rows(rows, Timeline(actions, DIM), actions)
    return {problem.kind for problem in problems}


def gone(outcome, rows=range(4), **given) -> Action:
    names = [data.row_name("writer1.1", i) for i in rows]
    return action("delete", 10.0, outcome, names=names, **given)


def updated(outcome=DONE, began=10.0, key="other") -> Action:
    names = [data.row_name("writer1.1", 0)]
    return action("update", began, outcome, names=names, ids=[1], key=key)


def with_vector(vector) -> list[StoredRow]:
    """All rows, the first with this embedding."""
    first, *others = stored()
    return [StoredRow(first.id, first.name, vector, None), *others]


OTHER = data.embeddings("other", 1, DIM)[0].tobytes()
THIRD = data.embeddings("third", 1, DIM)[0].tobytes()


@pytest.mark.parametrize(
    ("rows", "actions"),
    [
        (stored(), [added()]),
        (stored(), [added("cut short")]),
        ([], [added("cut short")]),
        ([], [added(UNDONE)]),
        (stored(rows=range(4, N)), [added(), gone(DONE)]),
        (stored(rows=range(4, N)), [added(), gone("cut short")]),
        (stored(), [added(), gone(FAILED)]),
        (stored(), [added(), updated(UNDONE)]),
        (stored(), [added(), updated("cut short")]),
        (with_vector(OTHER), [added(), updated("cut short")]),
        (with_vector(OTHER), [added(), updated()]),
        (with_vector(None), [added(), updated(key=None)]),
        (with_vector(THIRD), [added(), updated(), updated(began=20.0, key="third")]),
    ],
)
def test_what_may_be_is_no_problem(rows, actions):
    assert kinds(rows, *actions) == set()


@pytest.mark.parametrize(
    ("kind", "rows", "actions"),
    [
        ("acknowledged row lost", stored(rows=range(N - 1)), [added()]),
        ("row doubled", stored() + stored(rows=[3], first=90), [added()]),
        ("wrong id", stored(first=2), [added()]),
        ("row there that was rolled back", stored(), [added(UNDONE)]),
        ("half done", stored(rows=range(9)), [added("cut short")]),
        ("half done", stored(rows=range(2, N)), [added(), gone("cut short")]),
        ("deleted row is back", stored(), [added(), gone(DONE)]),
        ("acknowledged row lost", stored(rows=range(4, N)), [added(), gone(UNDONE)]),
        ("wrong bytes", with_vector(OTHER), [added()]),
        ("wrong bytes", stored(), [added(), updated()]),
        ("wrong bytes", with_vector(OTHER), [added(), updated(UNDONE)]),
        ("wrong bytes", with_vector(OTHER), [added(), updated(), updated(began=20.0, key="third")]),
        ("row that nobody has added", stored() + stored("writer9.9", [0], 90), [added()]),
        (
            "acknowledged attribute lost",
            stored(),
            [added(), action("attributes", 5.0, names=[data.row_name("writer1.1", 0)])],
        ),
        (
            "wrong attribute",
            [StoredRow(1, data.row_name("writer1.1", 0), stored()[0].embedding, 77)],
            [added(), gone("cut short", rows=range(1, N))],
        ),
    ],
)
def test_a_broken_promise_about_rows_is_told(kind, rows, actions):
    assert kind in kinds(rows, *actions)


def answer(k=10, **given) -> tuple[RowsOfTable, Action]:
    """The rows, and a search with numpy's own answer."""
    actions = [added()]
    rows = RowsOfTable(stored(), Timeline(actions, DIM), quiet=5.0)
    scores = similarities([data.query(7, DIM, "cosine")], rows.vectors, "cosine")[0]
    order = np.argsort(-scores)[:k]
    matches = [[int(i) + 1, rows.names[i], float(scores[i])] for i in order]
    search = action("search", 6.0, DONE, {"matches": matches}, query=7, k=10, step=ADDED, **given)
    return rows, search


def told(rows, search) -> set[str]:
    problems = judge_searches(rows, [search], "cosine").problems
    return {problem.kind.partition(" (")[0] for problem in problems}


def test_the_right_answer_is_no_problem():
    for is_exact in (False, True):
        rows, search = answer(exact=is_exact)
        judged = judge_searches(rows, [search], "cosine")
        assert judged.problems == [] and judged.compared == 1
        assert judged.recall.plain == ([] if is_exact else [1.0])


def test_an_answer_that_lacks_rows_is_told():
    rows, search = answer(exact=True)
    other = next(
        i for i in range(N) if rows.names[i] not in {m[1] for m in search.result["matches"]}
    )
    score = float(
        similarities([data.query(7, DIM, "cosine")], rows.vectors[[other]], "cosine")[0, 0]
    )
    search.result["matches"][9] = [other + 1, rows.names[other], score]
    assert told(rows, search) == {"exact search missed rows"}
    search.given["exact"] = False
    assert judge_searches(rows, [search], "cosine").recall.plain == [0.9]
    del search.result["matches"][9]
    assert told(rows, search) == {"fewer than k"}
    del search.result["matches"][4:]
    assert told(rows, search) == {"fewer than k", "recall far off"}


def test_odd_answers_are_told():
    rows, search = answer()
    matches = search.result["matches"]
    search.result["matches"] = [matches[1], matches[0], *matches[2:]]
    assert told(rows, search) == {"answer out of order"}
    search.result["matches"] = [*matches[:9], matches[8]]
    assert "row twice in an answer" in told(rows, search)
    search.result["matches"] = [[*matches[0][:2], matches[0][2] + 1e-4], *matches[1:]]
    assert told(rows, search) == {"wrong similarity"}
    search.result["matches"] = [[77, data.row_name("nobody", 1), 1.0], *matches[1:]]
    assert "answer with a row that was not there" in told(rows, search)


def test_a_row_of_zeros_has_no_cosine_and_is_the_nearest_to_little():
    zeros = data.embeddings(f"foreign1.1{data.ZERO}", 1, DIM)
    assert similarities([[1.0] * DIM], zeros, "cosine").tolist() == [[-np.inf]]
    assert similarities([[1.0] * DIM], zeros, "dot").tolist() == [[0.0]]


def test_beside_others_only_what_is_sure_is_asked_for():
    """Of what comes, goes or changes during a search, either may be found."""
    coming = added("cut short", batch="writer2.1", began=5.5)
    actions = [added(), coming, gone("cut short"), updated("cut short", began=5.0)]
    rows = RowsOfTimeline(Timeline(actions, DIM))
    seen = rows.visible(action("search", 6.0, query=1, k=10))
    assert seen.may.all()
    assert seen.must.tolist() == [False] + (N - 1) * [True] + N * [False]
    later = rows.visible(action("search", 12.0, query=1, k=10))
    assert later.must.tolist() == 4 * [False] + (N - 4) * [True] + N * [False]


def test_pages_are_compared():
    rows, search = answer(k=20)
    ids = [match[:2] for match in search.result["matches"]]
    pages = {"pages": [ids[:10], ids[10:]]}
    read = action("pages", 6.0, DONE, pages, query=7, step=ADDED, exact=False)
    assert judge_pages(rows, read, "cosine") == (1.0, [])
    pages["pages"][1] = [*ids[10:19], ids[0]]
    recall, problems = judge_pages(rows, read, "cosine")
    assert recall == 0.95 and [p.kind for p in problems] == ["row on two pages"]


def a_round(recall) -> RoundResult:
    result = RoundResult(plan_round(5, 0, can_mount=False))
    result.recall.plain += [recall] * 200
    return result


def test_a_mean_recall_below_the_target_is_a_problem():
    good, bad = Summary(5, rounds=[a_round(0.995)]), Summary(5, rounds=[a_round(0.985)])
    assert good.problems == []
    assert [problem.kind for problem in bad.problems] == ["mean recall below the target"]
    assert "0.9850 of 200, worst 0.98" in str(bad)


def test_every_setting_has_its_turn():
    plans = [plan_round(9, number, can_mount=True) for number in range(len(SETTINGS))]
    assert {plan.configuration.settings[0] for plan in plans} == set(SETTINGS)
    assert {plan.metric for plan in plans} == set(METRICS)
    without = [plan_round(9, number, can_mount=False) for number in range(50)]
    assert not any(DISK_FULL in plan.configuration for plan in without)


def test_rows_can_be_told_again_from_their_names():
    assert np.array_equal(data.embeddings("a", 9, 48), data.embeddings("a", 9, 48))
    first = data.clusters_of("a", 9, 48).tolist()
    assert data.clusters_of("a", 700, 48)[:9].tolist() == first
    assert data.batch_of(data.row_name("writer1.7", 3)) == "writer1.7"
