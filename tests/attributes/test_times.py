import datetime
import time
from zoneinfo import ZoneInfo

import pytest

from lookalike.attributes.times import period, text_period

HOUR = 3600 * 10**9


@pytest.fixture
def berlin(monkeypatch):
    """A place with summer time."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield ZoneInfo("Europe/Berlin")
    monkeypatch.undo()
    time.tzset()


def nanoseconds(*parts, zone):
    return round(datetime.datetime(*parts, tzinfo=zone).timestamp() * 10**9)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", (2024, 1, 1), (2025, 1, 1)),
        ("2024-02", (2024, 2, 1), (2024, 3, 1)),
        ("2024-12", (2024, 12, 1), (2025, 1, 1)),
        ("2024-02-29", (2024, 2, 29), (2024, 3, 1)),
        ("2024-12-31", (2024, 12, 31), (2025, 1, 1)),
        ("2024-06-01 12:30", (2024, 6, 1, 12, 30), (2024, 6, 1, 12, 31)),
        (" 2024-06-01T23:59:59 ", (2024, 6, 1, 23, 59, 59), (2024, 6, 2)),
        ("1969-12-31", (1969, 12, 31), (1970, 1, 1)),
    ],
)
def test_a_time_is_as_long_as_its_last_part(berlin, text, start, end):
    assert period(text) == (nanoseconds(*start, zone=berlin), nanoseconds(*end, zone=berlin))


def test_days_of_a_change_to_summer_time(berlin):
    lengths = [end - start for start, end in map(period, ("2024-03-31", "2024-10-27"))]
    assert lengths == [23 * HOUR, 25 * HOUR]


def test_zones_and_fractions(berlin):
    noon = nanoseconds(2024, 6, 1, 12, zone=datetime.UTC)
    assert period("2024-06-01T12:00Z") == (noon, noon + 60 * 10**9)
    assert period("2024-06-01 14:00:00+02:00") == (noon, noon + 10**9)
    assert period("2024-06-01 14:00:00.25") == (noon + 250_000_000, noon + 250_001_000)
    now = datetime.datetime.now(datetime.UTC)
    start, _ = period(now.isoformat())
    assert abs(start - now.timestamp() * 10**9) < 1000


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "24", "2024-6", "2024-13", "2024-02-30", "2024-06-01 25:00", "2024-06-01 12"),
        *("9999", "0001", "0000", "12:30", "2024-06-01 12:30 +99:00", "\u0662\u0660\u0662\u0664"),
    ],
)
def test_what_is_no_time(text):
    assert period(text) is None


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", "2024", "2025"),
        ("2024-12", "2024-12", "2025-01"),
        ("2024-02-29", "2024-02-29", "2024-03-01"),
        ("2024-06-01 23:59", "2024-06-01T23:59", "2024-06-02T00:00"),
        ("2024-06-01T12:30:59", "2024-06-01T12:30:59", "2024-06-01T12:31:00"),
        ("2024-06-01T12:30:05.50", "2024-06-01T12:30:05.5", "2024-06-01T12:30:05.500001"),
        ("2024-06-01T12:30:00.0", "2024-06-01T12:30:00", "2024-06-01T12:30:00.000001"),
    ],
)
def test_the_texts_of_a_period_lie_between_its_ends(text, start, end):
    assert text_period(text) == (start, end)
    for rest in ("", "+02:00", "-05:30"):
        assert start <= start + (rest if len(start) >= 19 else "") < end


@pytest.mark.parametrize(
    "text", ["spring", "2024-13", "2024-06-01 12:30Z", "2024-06-01T12:30+02:00"]
)
def test_texts_have_no_zone(text):
    assert text_period(text) is None
