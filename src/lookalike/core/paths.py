"""Paths as users write them, and as they read them where there is little room."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from lookalike.core.errors import InputError


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return a path with its leading ~ or ~user as that home; where there is none, as it stands.

    A file may be named like that: office programs put ~$report.docx beside report.docx. Raises
    InputError for an empty path, which would mean the current folder.
    """
    if not os.fspath(path):
        raise InputError("a path is empty; write . for the current folder")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def shortened(paths: Sequence[str], width: int, measure: Callable[[str], int] = len) -> list[str]:
    """Return paths of at most this width, the ends of those that are longer: …/trip/bee.jpg.

    measure: the width of a text. Paths that differ are shown as texts that differ: where two of
    them have the same end, with the folder that tells them apart, or else whole.
    """
    short = {path: _end(path, width, measure) for path in paths}
    last: dict[str, str] = {}
    by_end = sorted(short, key=lambda path: path[::-1])
    for one, other in pairwise(by_end):
        if short[one] == short[other]:
            for path in (one, other):
                last[path] = max(last.get(path, ""), _common_end(one, other), key=len)
    for path, end in last.items():
        short[path] = _with_difference(path, end, width, measure)
    shown = Counter(short.values())
    return [path if shown[short[path]] > 1 else short[path] for path in paths]


def _end(path: str, width: int, measure: Callable[[str], int]) -> str:
    """Return as many of the last folders as fit, or else the end of the name."""
    if measure(path) <= width:
        return path
    parts = path.split("/")
    for n in range(len(parts) - 1, 0, -1):
        text = "/".join(["…", *parts[-n:]])
        if measure(text) <= width:
            return text
    name = parts[-1]
    while name and measure("…" + name) > width:
        name = name[1:]
    return "…" + name


def _common_end(one: str, other: str) -> str:
    """Return the last folders and the name that two paths share."""
    parts: list[str] = []
    for a, b in zip(reversed(one.split("/")), reversed(other.split("/")), strict=False):
        if a != b:
            break
        parts.insert(0, a)
    return "/".join(parts)


def _with_difference(path: str, end: str, width: int, measure: Callable[[str], int]) -> str:
    """Return …/2019/…/bee.jpg, where 2019 is the folder before the end that others share."""
    name = path.rsplit("/", 1)[-1]
    before = path[: len(path) - len(end)].rstrip("/").rsplit("/", 1)[-1]
    texts = (f"…/{before}/…/{name}", *(f"…/{before}/…{name[n:]}" for n in range(1, len(name) - 4)))
    return next((text for text in texts if before and measure(text) <= width), path)
