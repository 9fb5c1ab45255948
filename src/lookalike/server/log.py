"""Reading the server's log: what went wrong, in one line, and the lines that say so."""

import re
from pathlib import Path

from lookalike.server.commands import tail

FULL_DISK = re.compile(r"No space left on device|errno: 28\b|disk is full", re.IGNORECASE)
OTHER_VERSION = re.compile(r"on data directory built by version|Invalid MySQL server upgrade")
IN_USE = re.compile(r"Unable to lock \S*ibdata1")


def read_from(log: Path, offset: int) -> str:
    """What has been written to the log since it was `offset` bytes long."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def size(log: Path) -> int:
    """The length of the log in bytes."""
    return log.stat().st_size if log.exists() else 0


def explain(text: str, *, data: Path) -> str:
    """The message for a server that did not start: the cause and remedy, then the log's end."""
    if FULL_DISK.search(text):
        cause = f"MySQL could not start, for the disk of {data} is full: free some space on it"
    elif OTHER_VERSION.search(text):
        cause = (
            f"MySQL could not start on {data}, which another version of MySQL has made: set "
            "LOOKALIKE_MYSQLD to the mysqld of that version, or move the folder away"
        )
    elif IN_USE.search(text):
        cause = (
            f"MySQL could not start on {data}, which another mysqld is using, maybe on another "
            "machine or in a container: stop that one, or set LOOKALIKE_HOME to another folder"
        )
    else:
        cause = (
            f"MySQL could not start on {data}: mend what the end of its log tells; if the folder "
            "is damaged, move it away and start again"
        )
    return f"{cause}\n{tail(text) or '(its log says nothing)'}"
