"""Lines of standard input."""

import os
from collections.abc import Iterator

_CHUNK = 65_536  # bytes


def input_lines() -> Iterator[str]:
    """Yield the lines of standard input: file names, which may not be UTF-8.

    Does not use sys.stdin: a thread that waits in it holds a lock that Python needs to exit.
    """
    rest = b""
    while chunk := os.read(0, _CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from _paths(lines)
    yield from _paths([rest])


def _paths(lines: list[bytes]) -> Iterator[str]:
    for line in lines:
        if path := os.fsdecode(line.rstrip(b"\r")):
            yield path
