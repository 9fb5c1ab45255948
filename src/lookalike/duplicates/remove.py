"""Duplicates' files deleted or moved, and then their rows: only where the image to keep is safe."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from lookalike.core.errors import InputError
from lookalike.core.file_moves import rename
from lookalike.core.removals import RemovalReport, RemovedFile, TakenRow
from lookalike.core.trash import send_to_trash
from lookalike.core.types import TIERS, DuplicateGroup, DuplicateImage, Failure, Tier
from lookalike.index.rows import delete_rows
from lookalike.index.store import IndexStore
from lookalike.removal.files import Stays, check_file
from lookalike.removal.removal import removed_of
from lookalike.removal.rows import take_rows

Progress = Callable[[int, int | None], None]


@dataclass(frozen=True)
class RemovalOptions:
    """tier: the loosest that is removed. move_to: a folder; without one files are deleted,
    through the system's trash unless `permanently`. dry_run: only tell what would be done.
    undo: keep what putting them back needs.
    """

    tier: Tier
    move_to: Path | None
    permanently: bool
    dry_run: bool
    undo: bool = False

    def check(self) -> None:
        """Raise InputError for an option that cannot be used."""
        if self.tier not in TIERS:
            raise InputError(f"there is no tier {self.tier!r}: give {', '.join(TIERS)}")
        if self.move_to is not None and self.permanently:
            raise InputError("files are moved, or deleted permanently: not both")


def remove_duplicates(
    index: IndexStore,
    groups: Sequence[DuplicateGroup],
    options: RemovalOptions,
    progress: Progress,
) -> RemovalReport:
    """Remove the duplicates of groups, but those of looser tiers than asked for.

    Every file is read before: one whose bytes are not those that were compared stays, and where
    that is the image to keep, all of its group does. progress: in groups. Raises InputError where
    there is no moving files to the folder.
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
        self._taken: list[TakenRow] = []
        self._promised: set[Path] = set()
        self._target: os.stat_result | None = None

    def report(self) -> RemovalReport:
        return RemovalReport(
            tuple(self._removed),
            tuple(self._failed),
            tuple(self._without_file),
            self._options.dry_run,
            removed_of(self._index.table, self._taken, self._removed) if self._taken else None,
        )

    def prepare(self) -> None:
        """Make the folder that files are to be moved to."""
        folder = self._options.move_to
        if folder is None:
            return
        try:
            if not self._options.dry_run:
                folder.mkdir(parents=True, exist_ok=True)
                self._target = folder.stat()
            elif os.path.lexists(folder) and not folder.is_dir():
                raise InputError(f"cannot move files to {folder}: it is not a folder")
        except OSError as error:
            raise InputError(f"cannot move files to {folder}: {error.strerror}") from error

    def clear(self, group: DuplicateGroup) -> None:
        """Remove a group's files, then the rows of those that are gone."""
        wanted = [image for image in group.duplicates if image.tier in self._tiers]
        self._without_file += [image.id for image in wanted if image.path is None]
        gone: list[int] = []
        safe: dict[int, Path | str] = {}
        try:
            links = [image.path for image in wanted if image.path and os.path.islink(image.path)]  # noqa: PTH114
            for image in wanted:
                if image.path is None:
                    continue
                stays = self._what_stays(image, group)
                if stays is None:
                    reason = f"image {image.copy_of}, which it is a copy of, is not in its group"
                    self._failed.append(Failure(image.path, reason))
                    continue
                if stays.id not in safe:
                    safe[stays.id] = _path_or_reason(stays)
                keep = safe[stays.id]
                if isinstance(keep, str):
                    self._failed.append(Failure(image.path, keep))
                elif self._remove(image, image.path, keep, links):
                    gone.append(image.id)
        finally:
            if gone and not self._options.dry_run:
                self._delete_rows(gone)

    def _delete_rows(self, ids: Sequence[int]) -> None:
        if self._options.undo and not self._options.permanently:
            self._taken += take_rows(self._index, ids)
        else:
            delete_rows(self._index, ids)

    def _what_stays(self, image: DuplicateImage, group: DuplicateGroup) -> DuplicateImage | None:
        """Return the image of its group that an image is a duplicate of and that stays, if any."""
        if image.copy_of is None:
            return group.keep
        for other in group.duplicates:
            if other.id == image.copy_of and other.copy_of is None:
                return group.keep if other.tier in self._tiers else other
        return None

    def _remove(self, image: DuplicateImage, path: Path, keep: Path, links: Sequence[Path]) -> bool:
        try:
            if path.is_symlink():
                raise Stays("it is a link to another file")
            check_file(path, image.content_hash)
            if path.samefile(keep):
                raise Stays(f"it is the file to keep, {keep}, by another name")
            for link in links:
                if link.exists() and link.samefile(path):
                    raise Stays(f"a link leads to it, {link}")
            size = path.stat().st_size
            target = self._dispose(path)
        except Stays as reason:
            self._failed.append(Failure(path, str(reason)))
        except OSError as error:
            self._failed.append(Failure(path, error.strerror or str(error)))
        else:
            self._removed.append(RemovedFile(image.id, path, size, target))
            return True
        return False

    def _dispose(self, path: Path) -> Path | None:
        """Delete or move a file; return where it is now, where that is known."""
        options = self._options
        if options.move_to is not None:
            return self._move(path, options.move_to)
        if options.dry_run:
            return None
        if options.permanently:
            path.unlink()
            return None
        return send_to_trash(path)

    def _move(self, path: Path, folder: Path) -> Path:
        """Move a file into a folder, under the first name that is free there."""
        if path.parent.resolve() == folder.resolve():
            raise Stays("it is in that folder already")
        if self._target and not os.path.samestat(self._target, folder.stat()):
            raise Stays(f"{folder} is not the folder any more that it was at the start")
        numbered = (f"{path.stem}-{number}{path.suffix}" for number in count(2))
        for name in chain([path.name], numbered):
            target = folder / name
            if self._options.dry_run:
                if target not in self._promised and not os.path.lexists(target):
                    self._promised.add(target)
                    break
                continue
            with suppress(FileExistsError):
                rename(path, target)
                break
        return target


def _path_or_reason(image: DuplicateImage) -> Path | str:
    """Return the path of an image to keep, or why none of its duplicates may go."""
    try:
        return check_file(image.path, image.content_hash)
    except Stays as reason:
        return f"the file to keep, {image.path or image.id}, is not safe: {reason}"
