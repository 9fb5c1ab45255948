"""Duplicates' files deleted or moved, and then their rows: only where the image to keep is safe."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NamedTuple

from lookalike.errors import ImageError, InputError
from lookalike.images import content_hash
from lookalike.index_store import IndexStore
from lookalike.rows import delete_rows
from lookalike.types import (
    TIERS,
    DuplicateGroup,
    Failure,
    RemovalReport,
    RemovedFile,
    Tier,
)

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class RemovalOptions:
    """tier: the loosest that is removed. move_to: a folder; without one files are deleted,
    through the system's trash unless `permanently`. dry_run: only tell what would be done.
    """

    tier: Tier = "near-duplicate"
    move_to: Path | None = None
    permanently: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Raise InputError for what cannot be honoured."""
        if self.tier not in TIERS:
            raise InputError(f"there is no tier {self.tier!r}: give {', '.join(TIERS)}")
        if self.move_to is not None and self.permanently:
            raise InputError("files are moved or deleted permanently, not both")


class _Stored(NamedTuple):
    path: Path
    content_hash: bytes
    size: int


class _Stays(Exception):
    """A file that is not removed, and why."""


def remove_duplicates(
    index: IndexStore,
    groups: Sequence[DuplicateGroup],
    options: RemovalOptions,
    progress: Progress,
) -> RemovalReport:
    """Remove the duplicates of groups, but of looser tiers than asked for.

    Of each file its bytes are read first: one that is not as it was added stays, and where that is
    the image to keep, so does all of its group. Raises InputError where files cannot be moved to
    the folder at all.
    """
    options.check()
    removal = _Removal(index, options)
    removal.prepare()
    for done, group in enumerate(groups, start=1):
        removal.clear(group)
        progress(done, len(groups))
    return removal.report()


class _Removal:
    def __init__(self, index: IndexStore, options: RemovalOptions) -> None:
        self._index = index
        self._options = options
        self._tiers = TIERS[: TIERS.index(options.tier) + 1]
        self._removed: list[RemovedFile] = []
        self._failed: list[Failure] = []
        self._without_file: list[int] = []
        self._reserved: set[Path] = set()

    def prepare(self) -> None:
        folder = self._options.move_to
        if folder is None:
            return
        try:
            if not self._options.dry_run:
                folder.mkdir(parents=True, exist_ok=True)
            elif folder.exists() and not folder.is_dir():
                raise NotADirectoryError(20, "Not a directory")
        except OSError as error:
            raise InputError(f"cannot move files to {folder}: {error.strerror}") from error

    def report(self) -> RemovalReport:
        return RemovalReport(
            tuple(self._removed),
            tuple(self._failed),
            tuple(self._without_file),
            self._options.dry_run,
        )

    def clear(self, group: DuplicateGroup) -> None:
        """Remove a group's files, then the rows of those that are gone."""
        wanted = [image for image in group.duplicates if image.tier in self._tiers]
        if not wanted:
            return
        files = self._stored([group.keep.id, *(image.id for image in wanted)])
        self._without_file += [image.id for image in wanted if image.id not in files]
        gone: list[int] = []
        try:
            keep = self._safe(files.get(group.keep.id))
            for image in wanted:
                if image.id in files and self._remove(image.id, files[image.id], keep):
                    gone.append(image.id)
        except _Stays as reason:
            self._failed += [
                Failure(files[image.id].path, f"kept, since {reason}")
                for image in wanted
                if image.id in files
            ]
        finally:
            if gone and not self._options.dry_run:
                delete_rows(self._index, gone)

    def _stored(self, ids: Sequence[int]) -> dict[int, _Stored]:
        rows = self._index.connection.query(
            self._index.dialect.file_contents(self._index.table, ids)
        )
        return {row[0]: _Stored(Path(row[1]), *row[2:]) for row in rows}

    def _safe(self, keep: _Stored | None) -> Path:
        """Return the path of the image to keep once its bytes are read. Raises _Stays."""
        if keep is None:
            raise _Stays("the image to keep has no file")
        try:
            _check(keep)
        except _Stays as reason:
            raise _Stays(f"the file to keep is not safe: {keep.path}: {reason}") from reason
        return keep.path

    def _remove(self, row_id: int, file: _Stored, keep: Path) -> bool:
        try:
            _check(file)
            if file.path.samefile(keep):
                raise _Stays(f"it is the file to keep by another name, {keep}")
            target = self._dispose(file.path)
        except (_Stays, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else error
            self._failed.append(Failure(file.path, str(reason)))
            return False
        self._removed.append(RemovedFile(row_id, file.path, file.size, target))
        return True

    def _dispose(self, path: Path) -> Path | None:
        options = self._options
        if options.move_to is not None:
            return self._move(path, options.move_to)
        if options.dry_run:
            return None
        if options.permanently:
            path.unlink()
        else:
            _trash(path)
        return None

    def _move(self, path: Path, folder: Path) -> Path:
        """Move a file into a folder under a name that is free there, and return the new path."""
        if path.parent.resolve() == folder.resolve():
            raise _Stays(f"it is in {folder} already")
        if self._options.dry_run:
            target = next(
                name for name in _names(folder, path)
                if name not in self._reserved and not name.is_symlink() and not name.exists()
            )
            self._reserved.add(target)
            return target
        target = _reserve(folder, path)
        try:
            shutil.move(path, target)
        except BaseException:
            if path.exists():
                target.unlink()
            raise
        return target


def _check(file: _Stored) -> None:
    """Raise _Stays unless a file has the bytes that were added."""
    try:
        if content_hash(file.path) == file.content_hash:
            return
    except ImageError as error:
        raise _Stays(str(error).removeprefix(f"{file.path}: ")) from error
    raise _Stays("it has changed since it was added; add it again")


def _trash(path: Path) -> None:
    from send2trash import send2trash
    from send2trash.exceptions import TrashPermissionError

    try:
        send2trash(path)
    except TrashPermissionError as error:
        raise _Stays("it cannot go to the trash; delete it permanently, or move it") from error


def _names(folder: Path, path: Path) -> "Iterator[Path]":
    yield folder / path.name
    for number in count(2):
        yield folder / f"{path.stem}-{number}{path.suffix}"


def _reserve(folder: Path, path: Path) -> Path:
    """Make an empty file of the first name that is free, so that nobody else takes it."""
    for target in _names(folder, path):
        try:
            target.open("xb").close()
        except FileExistsError:
            continue
        return target
    raise AssertionError
