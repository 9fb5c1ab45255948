"""Numbers, sizes and times as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from lookalike.web.views.formats import date_text, seconds_text, size_text, time_text


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
