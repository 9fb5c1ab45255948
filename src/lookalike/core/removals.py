"""Stored images and files that were removed, and what putting them back needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.core.types import Failure, ImageRecord


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file that was deleted or moved.

    Attributes:
        id: Row id.
        path: Where the file was.
        size: In bytes.
        moved_to: Where it is now, also in the trash, if known.
    """

    id: int
    path: Path
    size: int
    moved_to: Path | None


@dataclass(frozen=True, slots=True)
class TakenFile:
    """What was stored of a row's file; its modification time is in nanoseconds."""

    path: Path
    content_hash: bytes
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class TakenFacts:
    """What was stored of a row's facts."""

    content_hash: bytes
    path_hash: bytes
    has_location: bool
    facts: str


@dataclass(frozen=True, slots=True)
class TakenRow:
    """A row that was taken out, with all that belonged to it.

    Attributes:
        id: Its id.
        columns: Its other columns by name, with the embedding's bytes.
        file: What was stored of its file.
        facts: What was read from its file.
        distinct: Ids of the images from which it was decided to be distinct.
    """

    id: int
    columns: Mapping[str, Any]
    file: TakenFile | None
    facts: TakenFacts | None
    distinct: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Removed:
    """Images that were taken out of a collection; `put_back` takes them back.

    It keeps their embeddings: some kilobytes an image.

    Attributes:
        collection: Name of the collection.
        records: The images.
        files: Their files, as far as these were moved.
        failed: Files that could not be moved, with the reasons: they stay, with their images.
        without_file: Ids of images that were to be trashed and have no file: they stay.
        rows: What `put_back` needs of each image.
    """

    collection: str
    records: tuple[ImageRecord, ...]
    files: tuple[RemovedFile, ...] = ()
    failed: tuple[Failure, ...] = ()
    without_file: tuple[int, ...] = ()
    rows: tuple[TakenRow, ...] = field(default=(), repr=False)

    @property
    def ids(self) -> tuple[int, ...]:
        """The ids of the images."""
        return tuple(row.id for row in self.rows)


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """Result of putting images back.

    Attributes:
        restored: Ids of the images that are back.
        failed: Why others are not, by id.
    """

    restored: tuple[int, ...]
    failed: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """Result of deleting or moving duplicates; in a dry run, what would be done.

    Attributes:
        removed: Files that were deleted or moved.
        failed: Files that were kept, with their rows, because of an error.
        without_file: Ids of duplicates without a file; their rows are kept.
        is_dry_run: Whether nothing was changed.
        taken: What `put_back` takes to undo it; None if nothing was removed, or permanently.
    """

    removed: tuple[RemovedFile, ...]
    failed: tuple[Failure, ...]
    without_file: tuple[int, ...]
    is_dry_run: bool
    taken: Removed | None = None

    @property
    def size(self) -> int:
        """Total size of the removed files in bytes."""
        return sum(file.size for file in self.removed)
