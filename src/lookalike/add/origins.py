"""Detect moved files: new files with the bytes of a stored file that left its path."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lookalike.add.content import NewFile, Origin
from lookalike.add.prune import holds_nothing, is_missing, is_something_else, nearest_folder
from lookalike.core.errors import ImageError, InputError
from lookalike.core.remote import RemotePath, located
from lookalike.database.connection import Row
from lookalike.dialects import StoredFile
from lookalike.images.decode import content_hash

_MANY = 100
"""If more rows than this share their bytes and all are still there, they are not checked again."""


class _Departed(NamedTuple):
    """A row whose bytes left its path.

    nearest: the nearest existing folder above the path; None if the path now has other bytes.
    is_empty: whether that folder is empty.
    """

    origin: Origin
    mtime_ns: int
    nearest: Path | None
    is_empty: bool


class Origins:
    """Finds the rows that new files moved from; each row is assigned to one file.

    files_of: returns (content_hash, id, path, size, mtime_ns) of stored files by content hashes.
    folders: the folders of the walk.
    """

    def __init__(
        self, files_of: Callable[[Sequence[bytes]], list[Row]], folders: Sequence[Path]
    ) -> None:
        self._files_of = files_of
        self._folders = folders
        self._taken: set[int] = set()
        self._at_home: set[bytes] = set()
        self._held: list[tuple[NewFile, int]] = []
        self._buckets: dict[RemotePath, bool] = {}

    def find(
        self, new: Sequence[NewFile], stored_ids: Mapping[str, int]
    ) -> tuple[list[NewFile], list[NewFile]]:
        """Return the files that have an origin, and the others; stored_ids: row ids by path.

        A file whose path another row still has, as after swapping names, is held back for `held`:
        by then that row's own file has been seen.
        """
        self._set_origins(new)
        moved, others = [], []
        for each in new:
            if each.origin is None:
                others.append(each)
            elif (occupant := stored_ids.get(str(each.file.path))) is not None:
                self._held.append((each, occupant))
            else:
                moved.append(each)
        return moved, others

    def held(self) -> list[NewFile]:
        """Return the files that were held back, after every file has been seen.

        If the row at the file's path stays, that row is updated, and the file has no origin.
        """
        while stuck := [each for each, occupant in self._held if self._stays(each, occupant)]:
            for each in stuck:
                if each.origin:
                    self._taken.remove(each.origin.row_id)
                each.origin = None
        held, self._held = self._held, []
        return [each for each, _ in held]

    def _stays(self, each: NewFile, occupant: int) -> bool:
        return each.origin is not None and occupant not in self._taken

    def _set_origins(self, new: Sequence[NewFile]) -> None:
        departed = self._departed({each.file.content_hash for each in new})
        if not departed:
            return
        for same_name in (True, False):
            for each in new:
                for row in departed[each.file.content_hash]:
                    if each.origin or row.origin.row_id in self._taken:
                        continue
                    if same_name and located(row.origin.path).name != each.file.path.name:
                        continue
                    if self._has_gone_to(row, each.file):
                        each.origin = row.origin
                        self._taken.add(row.origin.row_id)

    def _departed(self, hashes: set[bytes]) -> defaultdict[bytes, list[_Departed]]:
        asked = sorted(hashes - self._at_home)
        stored: defaultdict[bytes, list[Row]] = defaultdict(list)
        for digest, *row in self._files_of(asked) if asked else ():
            stored[digest].append(tuple(row))
        departed: defaultdict[bytes, list[_Departed]] = defaultdict(list)
        for digest, rows in stored.items():
            departed[digest] = [gone for row in rows if (gone := self._trace(digest, *row))]
            if len(rows) > _MANY and not departed[digest]:
                self._at_home.add(digest)
        return departed

    def _trace(
        self, digest: bytes, row_id: int, stored_path: str, size: int, mtime_ns: int
    ) -> _Departed | None:
        """Return a row as departed; None if its bytes are still at its path, or that is unknown."""
        path, origin = located(stored_path), Origin(row_id, stored_path)
        try:
            if is_missing(path) or is_something_else(path):
                if isinstance(path, RemotePath):
                    there = self._has_bucket(path)
                    return _Departed(origin, mtime_ns, None, False) if there else None
                nearest = nearest_folder(path)
                return _Departed(origin, mtime_ns, nearest, holds_nothing(nearest))
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
                return None
            now = content_hash(path)
        except (InputError, ImageError, OSError):
            return None
        # An edited file keeps its row; a file that now has another row's bytes was replaced.
        if now == digest or not any(row[1] != row_id for row in self._files_of([now])):
            return None
        return _Departed(origin, mtime_ns, None, False)

    def _has_bucket(self, path: RemotePath) -> bool:
        """Whether the storage knows the path's bucket: that of another endpoint does not.

        Raises OSError if that is unknown.
        """
        bucket = path.bucket
        if bucket is None:
            return True
        if bucket not in self._buckets:
            self._buckets[bucket] = bucket.exists()
        return self._buckets[bucket]

    def _has_gone_to(self, row: _Departed, file: StoredFile) -> bool:
        """Whether the row's file is certainly gone, not just on an unmounted disk.

        An empty folder may be a mount point: then the modification times must also be equal. A
        missing folder counts as renamed if the nearest existing folder is inside the walk, or
        contains the new file on the same disk.
        """
        old, nearest = Path(row.origin.path), row.nearest
        if nearest is None:
            return True
        if nearest == old.parent:
            return not row.is_empty or row.mtime_ns == file.mtime_ns
        if row.is_empty:
            return False
        if any(folder in (nearest, *nearest.parents) for folder in self._folders):
            return True
        return nearest in file.path.parents and _device(nearest) == _device(file.path)


def _device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
