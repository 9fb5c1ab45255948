"""The folders below which images may be added: no other may be named, whatever links lead there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from lookalike.web.problems import Problem

_MOST_FOLDERS = 300
_DEPTH = 2


def allowed_folder(roots: Sequence[Path], folder: str) -> Path:
    """As `allowed_paths`, of one folder; one that is not absolute is in the first root.

    Raises Problem 404 if it is no folder.
    """
    path = Path(folder)
    with suppress(RuntimeError):  # a home that nobody has
        path = path.expanduser()
    (found,) = allowed_paths(roots, [str(roots[0] / path) if roots else folder])
    if not found.is_dir():
        raise Problem(404, f"no such folder: {folder[:500]}")
    return found


def allowed_paths(roots: Sequence[Path], paths: Sequence[str]) -> list[Path]:
    """Return paths, with links resolved.

    Raises Problem 403 unless each is a root or below one, and 404 if it is not there; nothing is
    told of what lies elsewhere.
    """
    return [_allowed(roots, path) for path in paths]


def _allowed(roots: Sequence[Path], given: str) -> Path:
    if not roots:
        raise Problem(403, "no folder may be added: start `lookalike serve` with --root FOLDER")
    shown = ", ".join(map(str, roots))
    refused = Problem(403, f"{given[:500]} is not below an allowed folder: {shown}")
    path = Path(given)
    if not path.is_absolute() or "\0" in given:
        raise refused
    try:
        found = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links
        raise refused from error
    if not any(found.is_relative_to(root.resolve()) for root in roots):
        raise refused
    try:
        is_there = found.exists()
    except OSError:
        is_there = False
    if not is_there:
        raise Problem(404, f"{given[:500]} does not exist")
    return found


def folders_below(roots: Sequence[Path]) -> list[str]:
    """Return the roots and the folders close below them, to choose from; the first few hundred."""
    found: list[str] = []
    for root in roots:
        _collect(root, _DEPTH, found)
    return found


def _collect(folder: Path, depth: int, found: list[str]) -> None:
    if len(found) >= _MOST_FOLDERS:
        return
    found.append(str(folder))
    if not depth:
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return
    for name in names:
        _collect(folder / name, depth - 1, found)
