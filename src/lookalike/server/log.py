"""Read the server's log: summarise a failure in one line, with the relevant lines."""

import re
from pathlib import Path

from lookalike.server.commands import tail
from lookalike.server.engine import MYSQL, Engine

FULL_DISK = re.compile(
    r"No space left on device|(?:errno:|error:?) 28\b|disk is full", re.IGNORECASE
)
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


def explain(text: str, *, data: Path, engine: Engine = MYSQL) -> str:
    """Return the message for a failed start: cause and remedy, then the end of the log."""
    title = engine.title
    if FULL_DISK.search(text):
        cause = (
            f"{title} could not start, because the disk of {data} is full: free some space on it"
        )
    elif versions := OTHER_VERSION.search(text):
        made, this = (_version(int(number)) for number in versions.groups())
        cause = other_version(data, engine, this=this, made=made)
    else:
        cause = (
            f"{title} could not start on {data}: see the end of its log; if the folder is damaged, "
            "move it away and start again"
        )
    return f"{cause}\n{tail(text) or '(its log says nothing)'}"


def other_version(data: Path, engine: Engine, *, this: str, made: str) -> str:
    """Return the message for a data folder of a version that this one cannot read."""
    return (
        f"{engine.title} {this} could not start on {data}, which {engine.title} {made} has made: "
        f"set {engine.variable} to a {engine.program} {made}, or move the folder away"
    )


def _version(number: int) -> str:
    """Return the version for InnoDB's number: 90704 is 9.7.4."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
