"""Filters by facts, and results in their order."""

from datetime import datetime

import numpy as np
import pytest

import lookalike
from tests.add.albums import make_album
from tests.colours import paint

QUERY = np.ones(3)


@pytest.fixture
def told(colours, tmp_path):
    """The collection of an album's photographs with their facts."""
    colours.add(make_album(tmp_path / "album"), facts=True)
    return colours


FILTERS = [
    ("taken_at>=2024-05-01", ["2.jpg", "3.jpg"]),
    ("taken_at>2024-05-01", ["3.jpg"]),
    ("taken_at<=2024-04-30", ["1.jpg"]),
    ("taken_at<2024-05", ["1.jpg"]),
    ("taken_at=2024-05-01", ["2.jpg"]),
    ("taken_at=2024", ["1.jpg", "2.jpg"]),
    ("taken_at!=2024-05-01", ["1.jpg", "3.jpg"]),
    ("taken_at in (2024-04-30, 2025)", ["1.jpg", "3.jpg"]),
    ("taken_at not in (2024-04, 2025)", ["2.jpg"]),
    ("taken_at>=2024-05-01 00:00:01", ["3.jpg"]),
    ("taken_at=2024-05-01T00:00", ["2.jpg"]),
    ("taken_at is missing", ["4.png"]),
    ({"taken_at": ("<", datetime(2024, 5, 1))}, ["1.jpg"]),
    ("taken_at~2024-0", ["1.jpg", "2.jpg"]),
    ("camera~nikon or camera=Canon", ["1.jpg", "2.jpg"]),
    ("width>=40", ["1.jpg"]),
    ("format=png", ["4.png"]),
    ("folder=rome and file_size>1", ["1.jpg", "2.jpg"]),
]
ORDERS = [
    ("taken_at", ["1.jpg", "2.jpg", "3.jpg", "4.png"]),
    ("-taken_at", ["3.jpg", "2.jpg", "1.jpg", "4.png"]),
    ("width", ["4.png", "3.jpg", "2.jpg", "1.jpg"]),
    ("-height", ["3.jpg", "2.jpg", "1.jpg", "4.png"]),
]


def test_filters_know_them(told):
    for where, names in FILTERS:
        found = told.search(QUERY, where=where, include=["attributes"])
        assert sorted(match.path.name for match in found) == names, where
        assert all(match.attributes["format"] for match in found)


def test_a_time_that_is_none_is_refused(told):
    for value in ("spring", "2024-13", "2024-05-01T00:00Z", "true"):
        message = f"'{value}' is not one without a zone; write"
        with pytest.raises(lookalike.InputError, match=message):
            told.search(QUERY, where=f"taken_at>={value}")


# In their order.


def test_results_in_the_order_of_an_attribute(told):
    for name, names in ORDERS:
        found = told.search(QUERY, order_by=name)
        assert [match.path.name for match in found] == names, name
        assert {match.attributes for match in found} == {None}
        with_them = told.search(QUERY, order_by=name, include=["attributes"])
        assert [match.attributes["format"] for match in with_them][names.index("4.png")] == "png"
        assert told.search_many([QUERY, QUERY], order_by=name) == [found, found]
        assert list(told.explain(QUERY, order_by=name).matches) == found


def test_they_are_the_most_similar_ones(told):
    best = {match.id for match in told.search(QUERY, k=2)}
    assert {match.id for match in told.search(QUERY, k=2, order_by="taken_at")} == best


def test_equal_values_stay_in_the_order_of_similarity(told, tmp_path):
    for i, colour in enumerate((0x123456, 0x999999, 0x445566)):
        paint(tmp_path / f"album/{i}.png", colour)
    told.add(tmp_path / "album", facts=True)
    similar = [m.id for m in told.search(QUERY, where="format=png")]
    assert [m.id for m in told.search(QUERY, where="format=png", order_by="format")] == similar
    assert [m.id for m in told.search(QUERY, where="format=png", order_by="-format")] == similar


def test_an_order_that_cannot_be_is_refused(told):
    with pytest.raises(lookalike.InputError, match=r"'takenat' \(did you mean 'taken_at'\?\)"):
        told.search(QUERY, order_by="takenat")
    with pytest.raises(lookalike.InputError, match="orders by similarity: leave out order_by"):
        told.search_sql(QUERY, order_by="taken_at")
