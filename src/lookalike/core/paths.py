"""Expand paths that users write, and shorten paths for display."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from lookalike.core.errors import InputError
from lookalike.core.remote import RemotePath, is_remote, located


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading ~ or ~user expanded; unchanged if there is no such user.

    A file name may begin with ~: office programs write ~$report.docx next to report.docx. Raises
    InputError for an empty path, which would mean the current folder.
    """
    if isinstance(path, RemotePath):
        return path
    if not os.fspath(path):
        raise InputError("a path is empty; write . for the current folder")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)


def absolute(target: str | os.PathLike[str]) -> str:
    """Return a path or URL as `add` stores it: absolute; links are resolved in its folder only."""
    if is_remote(target):
        return str(located(target))
    path = expand_user(target)
    try:
        return str(path.resolve() if path.is_dir() else path.parent.resolve() / path.name)
    except (OSError, ValueError):  # too long, a NUL, or in an unreadable folder
        return str(path.absolute())


def existing_folder(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder, links resolved. Raises InputError if it is none."""
    folder = expand_user(path)
    try:
        if folder.is_dir():
            return folder.resolve()
    except (OSError, ValueError) as error:  # too long, a NUL, or in an unreadable folder
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    raise InputError(f"no such folder: {path}")


def shortened(paths: Sequence[str], width: int, measure: Callable[[str], int] = len) -> list[str]:
    """Return paths of at most this width; longer ones are cut at the front: …/trip/bee.jpg.

    measure: returns the width of a text. Different paths stay different: if two have the same end,
    the folder that distinguishes them is kept, or else the whole path.
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
    """Return the name with the last folders that fit, or else the end of the name."""
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
    """Return …/2019/…/bee.jpg, where 2019 is the folder before the shared end."""
    name = path.rsplit("/", 1)[-1]
    before = path[: len(path) - len(end)].rstrip("/").rsplit("/", 1)[-1]
    texts = (f"…/{before}/…/{name}", *(f"…/{before}/…{name[n:]}" for n in range(1, len(name) - 4)))
    return next((text for text in texts if before and measure(text) <= width), path)
