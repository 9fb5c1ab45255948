"""Figures of ways in turn: their table, their ratios, and what they decide."""

import pytest

from benchmarks.figures import Figures, Target


@pytest.fixture
def figures():
    """Two turns of which noise hits the second, and a figure that one way lacks."""
    made = Figures(("SQL", "memory"), ("p50", "nothing"))
    for way, turns in {"SQL": (4, 40), "memory": (1, 10)}.items():
        for value in turns:
            made.add("p50", way, value)
    made.add("load", "memory", 12345)
    return made


def test_medians_of_turns_and_of_their_ratios(figures):
    assert figures.value("p50", "SQL") == 22
    assert figures.ratio("p50", "memory") == 0.25
    assert figures.ratio("p50", "SQL", to="memory") == 4
    figures.add("p50", "memory", 1000)  # a turn that the other has not had
    assert figures.ratio("p50", "memory") == 0.25


def test_what_was_not_measured(figures):
    assert figures.value("load", "SQL") is None
    assert figures.ratio("load", "memory") is None
    assert figures.value("nothing", "SQL") is figures.ratio("unknown", "SQL") is None


def test_the_table_has_a_row_for_each_figure(figures):
    assert figures.table().splitlines() == [
        "| | SQL | memory |",
        "|---|---:|---:|",
        "| p50 | 22 | 5.5 (0.25) |",
        "| load |  | 12,345 |",
    ]
    assert figures.values() == {
        "p50": {"SQL": 22, "memory": 5.5},
        "load": {"memory": 12345},
    }


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        (Target("memory", "p50", 0.25, to="SQL"), "reached: p50, memory: at most 0.25 times SQL"),
        (Target("memory", "p50", 0.2, to="SQL"), "MISSED: p50, memory: at most 0.2 times SQL; it"),
        (Target("memory", "p50", 5), "MISSED: p50, memory: at most 5; it is 5.5"),
        (Target("memory", "p50", 5, at_least=True), "reached: p50, memory: at least 5; it is 5.5"),
        (Target("memory", "p50", 8, at_least=True), "MISSED: p50, memory: at least 8; it is 5.5"),
        (Target("memory", "p50", 1, to="?"), "NOT MEASURED: p50, memory: at most 1 times ?"),
    ],
)
def test_targets(figures, target, verdict):
    assert target.verdict(figures).startswith(verdict)
