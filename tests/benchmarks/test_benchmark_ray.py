import pytest

from benchmarks.ray import Cost, line, table


def test_a_line_through_two_runs_tells_the_start_from_the_images():
    """2 s of start and 10 ms an image; 3 s and 30 ms of cores."""
    found = line(100, Cost(3, 6), 500, Cost(7, 18))
    assert found.start == pytest.approx((2, 3))
    assert found.image == pytest.approx((10, 30))


def test_the_table_has_medians():
    lines = [line(100, Cost(n, n), 200, Cost(n + 1, n + 2)) for n in (2, 3, 9)]
    assert table({"Ray": lines}).splitlines()[-1] == "| Ray | 2.0 | 10.0 | 20.0 |"
