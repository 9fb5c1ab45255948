"""Files by key on disk, with a limit on their size: the least recently used go first."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import NamedTuple

_KEPT = 0.98
"""Share of the limit that remains after a cleaning, so that not every new file needs one."""

_TOUCHED_SECONDS = 3600.0
"""How old the noted time of the last use may be: reading a file seldom writes to the disk."""

_PARTIAL_SECONDS = 600.0
"""Unfinished files this old were left by a process that was killed."""

_NAME = re.compile(r"(?P<key>[0-9a-f]{16,64})(?:_(?P<mark>[0-9a-z]{1,24}))?_(?P<size>[0-9]{1,15})")


class Cached(NamedTuple):
    """A file of the cache.

    mark: what was noted in its name. content: its bytes.
    """

    mark: str
    content: bytes


@dataclass(slots=True)
class _Entry:
    mark: str
    size: int
    used: float


class DiskCache:
    """Files by key; threads may share it, and processes the folder.

    A file's name holds its key, a mark of the caller's and its length, so that files that were cut
    short by a crash are recognised. The time of its last use is its modification time, so that the
    order survives restarts. If the folder cannot be written, nothing is kept.

    Args:
        folder: Where the files are; created when needed.
        limit: Size of all files in bytes.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._entries: OrderedDict[str, _Entry] | None = None
        self._total = 0
        self._lock = Lock()

    @property
    def size(self) -> int:
        """Size of all files in bytes, as far as this process knows."""
        with self._lock:
            self._loaded()
            return self._total

    def load(self) -> None:
        """Read the folder now; otherwise the first request waits for that."""
        with self._lock:
            self._loaded()

    def mark(self, key: str) -> str | None:
        """Return the mark of a file without reading it; None if it is not known."""
        with self._lock:
            entry = self._loaded().get(key)
            return None if entry is None else entry.mark

    def get(self, key: str) -> Cached | None:
        """Return a file; None if there is none or it is not whole."""
        with self._lock:
            entries = self._loaded()
            if key not in entries:
                self._find_foreign(key, entries)
            entry = entries.get(key)
            if entry is None:
                return None
            entries.move_to_end(key)
        path = self._path(key, entry)
        content = _read(path)
        if content is None or len(content) != entry.size:
            self.discard(key)
            return None
        self._touch(path, entry)
        return Cached(entry.mark, content)

    def put(self, key: str, content: bytes, *, mark: str = "") -> None:
        """Keep a content under a key of 16 to 64 hexadecimal digits.

        mark: up to 24 lower-case letters and digits.
        """
        entry = _Entry(mark, len(content), time.time())
        path = self._path(key, entry)
        assert _NAME.fullmatch(path.name), path.name
        if not _write(path, content):
            return
        with self._lock:
            entries = self._loaded()
            old = entries.pop(key, None)
            if old is not None:
                self._total -= old.size
                if self._path(key, old) != path:
                    _unlink(self._path(key, old))
            entries[key] = entry
            self._total += entry.size
            self._clean(entries)

    def discard(self, key: str) -> None:
        """Delete a file, if it is there."""
        with self._lock:
            entry = self._loaded().pop(key, None)
            if entry is not None:
                self._total -= entry.size
                _unlink(self._path(key, entry))

    def _path(self, key: str, entry: _Entry) -> Path:
        marked = f"_{entry.mark}" if entry.mark else ""
        return self._folder / key[:2] / f"{key}{marked}_{entry.size}"

    def _loaded(self) -> OrderedDict[str, _Entry]:
        """Return the entries in the order of their last use, read from the folder at first."""
        if self._entries is None:
            found = sorted(_scan(self._folder), key=lambda item: item[1].used)
            self._entries = OrderedDict(found)
            self._total = sum(entry.size for entry in self._entries.values())
            self._clean(self._entries)
        return self._entries

    def _find_foreign(self, key: str, entries: OrderedDict[str, _Entry]) -> None:
        """Note a file that another process has written since this one read the folder."""
        for found, entry in _scan_folder(self._folder / key[:2], only=key):
            if found == key:
                entries[key] = entry
                self._total += entry.size
                return

    def _clean(self, entries: OrderedDict[str, _Entry]) -> None:
        if self._total <= self._limit:
            return
        while entries and self._total > _KEPT * self._limit:
            key, entry = entries.popitem(last=False)
            self._total -= entry.size
            _unlink(self._path(key, entry))

    def _touch(self, path: Path, entry: _Entry) -> None:
        now = time.time()
        if now - entry.used > _TOUCHED_SECONDS:
            entry.used = now
            with suppress(OSError):
                os.utime(path)


def _scan(folder: Path) -> Iterator[tuple[str, _Entry]]:
    """Yield (key, entry) of all files below a folder."""
    try:
        with os.scandir(folder) as found:
            parts = [entry.path for entry in found if len(entry.name) == 2 and entry.is_dir()]
    except OSError:
        return
    for part in parts:
        yield from _scan_folder(Path(part))


def _scan_folder(folder: Path, only: str = "") -> Iterator[tuple[str, _Entry]]:
    """Yield (key, entry) of the files in a folder; delete those that are not whole."""
    try:
        with os.scandir(folder) as found:
            files = [entry for entry in found if entry.name.startswith((only, "."))]
    except OSError:
        return
    for file in files:
        with suppress(OSError):  # deleted meanwhile
            status = file.stat(follow_symlinks=False)
            name = _NAME.fullmatch(file.name)
            if name and int(name["size"]) == status.st_size:
                yield name["key"], _Entry(name["mark"] or "", status.st_size, status.st_mtime)
            elif name or time.time() - status.st_mtime > _PARTIAL_SECONDS:
                _unlink(Path(file.path))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _write(path: Path, content: bytes) -> bool:
    """Write a file that gets its name when it is whole; return whether that was possible."""
    partial = path.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            partial.write_bytes(content)
            partial.replace(path)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
    # A cache only saves time: a full disk or a read-only home is not an error.
    except OSError:
        return False
    return True


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)
