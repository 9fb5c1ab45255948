"""Numbers, sizes and times as people read them: filters of the templates."""

from __future__ import annotations

from datetime import UTC, datetime

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size_text(size: int | None) -> str:
    """Return a size in bytes as 340 bytes, 12 kB or 3.4 MB; empty if unknown."""
    if size is None:
        return ""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}" if value < 9.95 else f"{value:.0f} {_UNITS[unit]}"


def date_text(time: datetime | None) -> str:
    """Return a date as 3 Mar 2024, in this machine's time zone; empty if unknown."""
    if time is None:
        return ""
    local = time.astimezone()
    return f"{local.day} {local:%b %Y}"


def time_text(time: datetime | None) -> str:
    """Return when something was as `a minute ago`, `today, 14:05` or `3 Mar 2024, 14:05`."""
    if time is None:
        return ""
    local, now = time.astimezone(), datetime.now(UTC).astimezone()
    seconds = (now - local).total_seconds()
    if 0 <= seconds < 60:
        return "just now"
    if 0 <= seconds < 3600:
        minutes = int(seconds / 60)
        return "a minute ago" if minutes == 1 else f"{minutes} minutes ago"
    if local.date() == now.date():
        return f"today, {local:%H:%M}"
    return f"{date_text(time)}, {local:%H:%M}"


def moment_text(text: str) -> str:
    """Return a time in ISO format as 3 Mar 2024, 14:05, by its own clock; other text as it is."""
    try:
        time = datetime.fromisoformat(text) if "T" in text else None
    except ValueError:
        time = None
    return text if time is None else f"{time.day} {time:%b %Y, %H:%M}"


def similarity_text(similarity: float, digits: int = 2) -> str:
    """Return a similarity as 0.97 or \u22120.12; never as -0.00."""
    text = f"{abs(similarity):.{digits}f}"
    return f"\u2212{text}" if similarity < 0 and float(text) else text


def seconds_text(seconds: float) -> str:
    """Return a duration as 0.4 s, 12 s, 3 min or 2 h 05 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


FILTERS = {
    "size": size_text,
    "date": date_text,
    "when": time_text,
    "seconds": seconds_text,
    "similarity": similarity_text,
}
