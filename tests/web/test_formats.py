"""Numbers, sizes and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.web.views.formats import (
    date_text,
    moment_text,
    seconds_text,
    similarity_text,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (None, ""),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9951, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (123_456_789, "123 MB"),
        (5 * 10**12, "5.0 TB"),
    ],
)
def test_sizes(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.5, "9.5 s"), (59, "59 s"), (61, "1 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds, text):
    assert seconds_text(seconds) == text


def test_times():
    now = datetime.now(UTC)
    assert time_text(None) == date_text(None) == ""
    assert time_text(now - timedelta(seconds=5)) == "just now"
    assert time_text(now - timedelta(seconds=70)) == "a minute ago"
    assert time_text(now - timedelta(minutes=30)) == "30 minutes ago"
    local = datetime(2024, 3, 3, 14, 5).astimezone()
    assert date_text(local) == "3 Mar 2024"
    assert time_text(local) == "3 Mar 2024, 14:05"


@pytest.mark.parametrize(
    ("similarity", "text"),
    [
        (1, "1.00"),
        (0.9949, "0.99"),
        (0.0, "0.00"),
        (-0.0, "0.00"),
        (-0.004, "0.00"),
        (-0.006, "\u22120.01"),
        (-12.5, "\u221212.50"),
    ],
)
def test_similarities_have_a_minus_and_no_negative_zero(similarity, text):
    assert similarity_text(similarity) == text
    assert similarity_text(similarity, 1).lstrip("\u2212") == f"{abs(similarity):.1f}"


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        ("2015-10-29T15:44:44.520000", "29 Oct 2015, 15:44"),
        ("2015-10-29T05:04:00+02:00", "29 Oct 2015, 05:04"),
        ("20151029", "20151029"),
        ("The T-shirt", "The T-shirt"),
    ],
)
def test_moments_are_those_of_the_camera(stored, text):
    assert moment_text(stored) == text
