"""The system's trash: move files there, find them, and move them back.

Finding is for the trash of freedesktop.org, of Linux desktops: a folder with `files/` and, for each
of them, `info/<name>.trashinfo`, which tells where it was.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from lookalike.core.file_moves import rename

_INFO = ".trashinfo"


class _Trash(NamedTuple):
    """A folder of trash, and the folder that its relative paths begin at."""

    folder: Path
    base: Path

    def info(self, name: str) -> Path:
        return self.folder / "info" / f"{name}{_INFO}"

    def file(self, name: str) -> Path:
        return self.folder / "files" / name


class _Deletion(NamedTuple):
    """When a file was moved to the trash, and from where."""

    date: str
    written: int
    path: str


def send_to_trash(path: Path) -> Path | None:
    """Move a file to the system's trash; return where it is there, if that can be told.

    Raises OSError.
    """
    from send2trash import TrashPermissionError, send2trash

    try:
        send2trash(path)
    except TrashPermissionError as error:
        reason = "there is no trash for it; delete it permanently, or move it"
        raise OSError(errno.EACCES, reason) from error
    return _last_of_name(path)


def find_in_trash(path: Path) -> list[Path]:
    """Return the files in the trash that were at a path, the last one first."""
    start = path.name.split(".")[0]  # programs number equal names after this, in several ways
    found: list[tuple[_Deletion, Path]] = []
    for trash in _trashes(path):
        for name in _names(trash, start):
            deletion = _read(trash, name)
            if deletion and deletion.path == str(path) and os.path.lexists(trash.file(name)):
                found.append((deletion, trash.file(name)))
    return [file for _, file in sorted(found, reverse=True)]


def take_from_trash(trashed: Path, target: Path) -> None:
    """Move a file from the trash, or from any other folder, to a free path.

    Raises OSError, and FileExistsError where the path is taken.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    rename(trashed, target)
    if trashed.parent.name == "files":
        with suppress(OSError):  # then the trash shows a file that it does not have
            _Trash(trashed.parent.parent, target.parent).info(trashed.name).unlink()


def _last_of_name(path: Path) -> Path | None:
    """Return the last file of this name in the trash, as send2trash numbers them."""
    stem, suffix = os.path.splitext(path.name)  # noqa: PTH122 - as send2trash does
    for trash in _trashes(path):
        last = None
        for number in count():
            name = f"{stem} {number}{suffix}" if number else path.name
            if not trash.info(name).exists():
                break
            last = name
        deletion = None if last is None else _read(trash, last)
        if last is not None and deletion and deletion.path == str(path):
            return trash.file(last)
    return None


def _trashes(path: Path) -> Iterator[_Trash]:
    """Yield where files of a path's folder may go."""
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser()
    yield _Trash(data / "Trash", data)
    if not hasattr(os, "getuid"):
        return
    uid = os.getuid()
    top = next((folder for folder in path.parents if os.path.ismount(folder)), None)
    if top is not None:
        yield _Trash(top / ".Trash" / str(uid), top)
        yield _Trash(top / f".Trash-{uid}", top)


def _names(trash: _Trash, start: str) -> list[str]:
    try:
        with os.scandir(trash.folder / "info") as listing:
            names = [entry.name for entry in listing]
    except OSError:
        return []
    return [
        name.removesuffix(_INFO)
        for name in names
        if name.startswith(start) and name.endswith(_INFO)
    ]


def _read(trash: _Trash, name: str) -> _Deletion | None:
    try:
        with trash.info(name).open("rb") as file:
            lines, written = file.read().splitlines(), os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None
    told = dict(line.split(b"=", 1) for line in lines if b"=" in line)
    path = os.fsdecode(unquote_to_bytes(told.get(b"Path", b"")))
    date = told.get(b"DeletionDate", b"").decode(errors="replace")
    # Of two in one second the later was written later.
    return _Deletion(date, written, str(trash.base / path))
