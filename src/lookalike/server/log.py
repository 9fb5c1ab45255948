"""Read the server's log: summarise a failure in one line, with the relevant lines."""

import re
from pathlib import Path

from lookalike.server.commands import tail

FULL_DISK = re.compile(r"No space left on device|errno: 28\b|disk is full", re.IGNORECASE)
OTHER_VERSION = re.compile(r"Cannot (?:up|down)grade from (\d+) to (\d+)")


def read_from(log: Path, offset: int) -> str:
    """Return what was written to the log after its first `offset` bytes."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def size(log: Path) -> int:
    """Return the length of the log in bytes."""
    return log.stat().st_size if log.exists() else 0


def explain(text: str, *, data: Path) -> str:
    """Return the message for a failed start: cause and remedy, then the end of the log."""
    if FULL_DISK.search(text):
        cause = f"MySQL could not start, because the disk of {data} is full: free some space on it"
    elif versions := OTHER_VERSION.search(text):
        made, this = (_version(int(number)) for number in versions.groups())
        cause = (
            f"MySQL {this} could not start on {data}, which MySQL {made} has made: set "
            f"LOOKALIKE_MYSQLD to a mysqld {made}, or move the folder away"
        )
    else:
        cause = (
            f"MySQL could not start on {data}: see the end of its log; if the folder is damaged, "
            "move it away and start again"
        )
    return f"{cause}\n{tail(text) or '(its log says nothing)'}"


def _version(number: int) -> str:
    """Return the version for InnoDB's number: 90704 is 9.7.4."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
