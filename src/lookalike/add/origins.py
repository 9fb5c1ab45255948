"""Where new files come from: stored files of the same bytes that are at their path no more."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from lookalike.add.content import NewFile, Origin
from lookalike.add.prune import holds_nothing, is_missing, is_something_else, nearest_folder
from lookalike.core.errors import ImageError, InputError
from lookalike.database.connection import Row
from lookalike.dialects import StoredFile
from lookalike.images.decode import content_hash

_MANY = 100
"""Rows of the same bytes that are not asked for twice in one run."""


class _Departed(NamedTuple):
    """A row whose bytes have left its path.

    nearest: the nearest folder above the path that is there, None where other bytes are at the
    path. is_empty: whether nothing is in that folder.
    """

    origin: Origin
    mtime_ns: int
    nearest: Path | None
    is_empty: bool


class Origins:
    """Finds the rows that new files come from; each row goes to one file.

    files_of: returns (content_hash, id, path, size, mtime_ns) of the stored files of contents.
    folders: those that are walked.
    """

    def __init__(
        self, files_of: Callable[[Sequence[bytes]], list[Row]], folders: Sequence[Path]
    ) -> None:
        self._files_of = files_of
        self._folders = folders
        self._taken: set[int] = set()
        self._at_home: set[bytes] = set()
        self._held: list[tuple[NewFile, int]] = []

    def find(
        self, new: Sequence[NewFile], stored_ids: Mapping[str, int]
    ) -> tuple[list[NewFile], list[NewFile]]:
        """Return the files that have an origin, and the others; stored_ids: of rows by path.

        One at a path that another row still has, as where files have swapped their names, waits
        for `held`: by then that row's own file has been seen.
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
        """Return what was held back, once every file has been seen.

        Where the row at its path stays, that is what changes, and the file has no origin.
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
                    if same_name and Path(row.origin.path).name != each.file.path.name:
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
        """Return what is at a row's path now; None where its bytes are, or it cannot be told."""
        path, origin = Path(stored_path), Origin(row_id, stored_path)
        try:
            if is_missing(path) or is_something_else(path):
                nearest = nearest_folder(path)
                return _Departed(origin, mtime_ns, nearest, holds_nothing(nearest))
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
                return None
            now = content_hash(path)
        except (InputError, ImageError, OSError):
            return None
        # An edited file keeps its row; one that is another row's picture now has been replaced.
        if now == digest or not any(row[1] != row_id for row in self._files_of([now])):
            return None
        return _Departed(origin, mtime_ns, None, False)

    def _has_gone_to(self, row: _Departed, file: StoredFile) -> bool:
        """Whether it is sure that the row's file is gone, and its disk is not just out of reach.

        An empty folder may be one that is not mounted: then the time has to be the same, too. A
        missing folder has been renamed where a folder above it is walked, or where the new file is
        beside it on the same disk.
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
