"""Times in filters: a year, a month, a day, a minute or a second, as a period."""

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

_TIME = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:[T ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?"
    r" ?(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def period(text: str) -> tuple[int, int] | None:
    """Return (start, end) of a time, in nanoseconds since 1970, end excluded; None if it is none.

    text: such as 2024, 2024-06, 2024-06-01, 2024-06-01 12:30, 2024-06-01T12:30:05.5Z. It is as long
    as its last part. Times without a zone are local.
    """
    found = _read(text)
    return (_nanoseconds(found.start), _nanoseconds(found.end)) if found else None


def text_period(text: str) -> tuple[str, str] | None:
    """Return (start, end) of a time as ISO 8601 texts, end excluded; None if it is none.

    Both are as long as the time itself: 2024-06 gives 2024-06 and 2024-07. Texts of any length
    between them, compared letter by letter, are times in the period. A time with a zone is none:
    such texts are local to wherever they were written.
    """
    found = _read(text)
    if found is None or found.start.tzinfo is not None:
        return None
    length = _LENGTHS[found.unit]
    start, end = found.start.isoformat(), found.end.isoformat()
    return (start.rstrip("0") if "." in start else start[:length]), end[:length]


class _Period(NamedTuple):
    """A period of time; unit: of its last part."""

    start: datetime
    end: datetime
    unit: str


def _read(text: str) -> _Period | None:
    found = _TIME.fullmatch(text.strip())
    if not found:
        return None
    parts = {name: int(part) for name, part in found.groupdict().items() if part and name in _UNITS}
    given = found["fraction"]
    try:
        start = datetime(
            parts["year"],
            parts.get("month", 1),
            parts.get("day", 1),
            parts.get("hour", 0),
            parts.get("minute", 0),
            parts.get("second", 0),
            int(given.ljust(6, "0")) if given else 0,
            tzinfo=datetime.fromisoformat(f"2000-01-01T00:00{found['zone'] or ''}").tzinfo,
        )
        unit = "fraction" if given else list(parts)[-1]
        end = start + timedelta(microseconds=1) if given else _next(start, unit)
        _nanoseconds(start), _nanoseconds(end)
        return _Period(start, end, unit)
    except (ValueError, OverflowError):  # no such day, or too far from today
        return None


_UNITS = ("year", "month", "day", "hour", "minute", "second")
_LENGTHS = {"year": 4, "month": 7, "day": 10, "minute": 16, "second": 19, "fraction": 26}


def _next(start: datetime, unit: str) -> datetime:
    if unit == "year":
        return start.replace(year=start.year + 1)
    if unit == "month":
        is_last = start.month == 12
        return start.replace(year=start.year + is_last, month=1 if is_last else start.month + 1)
    return start + timedelta(**{f"{unit}s": 1})


def _nanoseconds(time: datetime) -> int:
    return (time.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1000
