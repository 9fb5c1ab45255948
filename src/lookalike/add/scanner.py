"""Compare files with the stored ones: new, changed, moved, or failed before."""

import errno
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from lookalike.add.content import Content, InFlight, NewFile, Touched
from lookalike.add.origins import Origins
from lookalike.core.errors import ImageError
from lookalike.core.remote import RemotePath, Stamp, on_disk
from lookalike.core.types import Failure
from lookalike.core.vectors import unpack
from lookalike.database.connection import Row
from lookalike.database.table import VectorTable
from lookalike.dialects import MAX_PATH, FailedFile, Statement, StoredFile, Table
from lookalike.images.decode import content_hash
from lookalike.images.walk import FoundImage
from lookalike.index.rows import stored_name

_READERS = 4
"""Number of files hashed at a time."""

_REMOTE_READERS = 16
"""The same of files in storage elsewhere, which has to be waited for."""

T = TypeVar("T")


class Query(Protocol):
    """Runs statements on parts of the items and returns all rows, as Connection.query_parts."""

    def __call__(
        self, items: Sequence[T], make: Callable[[Sequence[T]], Statement], /
    ) -> list[Row]:
        """Return the rows."""


class _Known(NamedTuple):
    row_id: int
    content_hash: bytes
    size: int
    mtime_ns: int


@dataclass
class Scan:
    """A batch of found files, sorted by what to do with them.

    new: contents to embed, or to store with the embedding of a stored file of the same bytes.
    failed_before: files that failed in an earlier run and have not changed.
    unreadable: files that cannot even be stored as failures.
    """

    new: list[Content] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)
    unreadable: list[Failure] = field(default_factory=list)
    unchanged: int = 0


class Scanner:
    """Compares files with a collection's table, batch by batch.

    query: a Connection's query_parts. folders: the folders of the walk. retry: retry files that
    failed before and have not changed.
    """

    def __init__(
        self,
        query: Query,
        table: VectorTable,
        in_flight: InFlight,
        *,
        folders: Sequence[Path],
        retry: bool,
    ) -> None:
        self._query = query
        self._dialect = table.dialect
        self._table = table
        self._in_flight = in_flight
        self._retry = retry
        self._origins = Origins(
            lambda hashes: self._ask(hashes, self._dialect.files_of_contents), folders
        )

    def scan(self, batch: Sequence[FoundImage]) -> Scan:
        """Compare files by size and modification time; if these differ, by content."""
        scan = Scan()
        found = [image for image in batch if _can_be_stored(image, scan)]
        paths = [str(image.path) for image in found]
        known: dict[str, _Known] = {}
        failed: dict[str, Row] = {}
        if paths:
            rows = self._ask(paths, self._dialect.known_files)
            known = {row[0]: _Known(*row[1:]) for row in rows}
            rows = self._ask(paths, self._dialect.known_failures)
            failed = {row[0]: row[1:] for row in rows}
        changed: list[FoundImage] = []
        for image, path in zip(found, paths, strict=True):
            self._compare(image, known.get(path), failed.get(path), changed, scan)
        self._sort_out(changed, known, failed, scan)
        return scan

    def finish(self) -> Scan:
        """Return the files that could be decided only after the last batch."""
        scan = Scan(new=[Content([each]) for each in self._origins.held()])
        self._reuse(scan.new)
        return scan

    def _ask(
        self, items: Sequence[T], statement: Callable[[Table, Sequence[T]], Statement]
    ) -> list[Row]:
        return self._query(items, lambda part: statement(self._table, part))

    def _compare(
        self,
        image: FoundImage,
        known: _Known | None,
        failure: Row | None,
        changed: list[FoundImage],
        scan: Scan,
    ) -> None:
        try:
            stamp = image.stamp or _stamp(image.path)
        except OSError as error:
            scan.failed.append(_out_of_reach(image, error.strerror or str(error)))
            return
        if failure and failure[1:] == stamp and not self._retry:
            scan.failed_before.append(Failure(image.path, failure[0]))
        elif known and known[2:] == stamp and not failure:
            scan.unchanged += 1
        else:
            changed.append(image)

    def _sort_out(
        self,
        changed: Sequence[FoundImage],
        known: dict[str, _Known],
        failed: dict[str, Row],
        scan: Scan,
    ) -> None:
        """Separate files whose bytes changed from those that were only touched."""
        new: list[NewFile] = []
        is_remote = any(isinstance(image.path, RemotePath) for image in changed)
        readers = _REMOTE_READERS if is_remote else _READERS
        with ThreadPoolExecutor(readers, thread_name_prefix="lookalike-hash") as pool:
            for image, file in zip(changed, pool.map(_read, changed), strict=True):
                path = str(image.path)
                before = known.get(path)
                if isinstance(file, FailedFile):
                    scan.failed.append(file)
                elif before and before.content_hash == file.content_hash and path not in failed:
                    scan.touched.append(Touched(before.row_id, file))
                else:
                    new.append(NewFile(stored_name(image.name), file, path in failed))
        moved, others = self._origins.find(new, {path: row.row_id for path, row in known.items()})
        scan.new += [Content([each]) for each in moved]
        scan.new += [content for each in others if (content := self._in_flight.join(each))]
        self._reuse([content for content in scan.new if content.embedding is None])

    def _reuse(self, contents: Sequence[Content]) -> None:
        """Copy stored embeddings to contents with the same bytes.

        Call after they joined the contents in flight: a content that left those is already stored.
        """
        if not contents:
            return
        hashes = sorted(content.digest for content in contents)
        rows = self._ask(hashes, self._dialect.known_contents)
        stored: dict[bytes, bytes] = {row[0]: row[1] for row in rows}
        for content in contents:
            packed = stored.get(content.digest)
            if packed is not None:
                content.is_reused = True
                content.embedding = unpack([packed], self._table.dim)[0]
                self._in_flight.forget([content])


def _read(image: FoundImage) -> StoredFile | FailedFile:
    """Return a file's record: its size and time from before its bytes were read."""
    try:
        with on_disk(image.path) as file:
            stamp = _stamp(file)
            digest = content_hash(file)
    except OSError as error:
        return _out_of_reach(image, error.strerror or str(error))
    except ImageError as error:
        return _out_of_reach(image, str(error).removeprefix(f"{image.path}: "))
    return StoredFile(image.path, digest, *stamp)


def _stamp(path: Path) -> Stamp:
    status = path.stat()
    return Stamp(status.st_size, status.st_mtime_ns)


def _out_of_reach(image: FoundImage, reason: str) -> FailedFile:
    return FailedFile(str(image.path), reason, None, None)


def _can_be_stored(image: FoundImage, scan: Scan) -> bool:
    """Whether a file's path fits into the database; if not, add it as a failure."""
    shown = str(image.path).encode(errors="backslashreplace").decode()
    if len(shown) > MAX_PATH:
        scan.unreadable.append(Failure(image.path, os.strerror(errno.ENAMETOOLONG)))
    elif shown != str(image.path):
        reason = "the file's name is not UTF-8; rename the file"
        scan.failed.append(FailedFile(shown, reason, None, None))
    else:
        return True
    return False
