"""Files to rows: found, compared with what is stored, embedded in batches, written."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np
from PIL import Image

from lookalike.connection import DUPLICATE_KEY
from lookalike.dialects import StoredFile
from lookalike.errors import DatabaseError, ImageError
from lookalike.images import FoundImage, content_hash, open_image
from lookalike.index_store import IndexStore
from lookalike.models import Model
from lookalike.types import AddReport, Failure
from lookalike.vectors import FloatArray, check_embeddings, pack

MAX_NAME = 255
"""The length of the article's image_name column, in characters."""

Progress = Callable[[int, int], None]
"""Called with (files done, files in all)."""


class _Known(NamedTuple):
    id: int
    content_hash: bytes
    size: int
    mtime_ns: int


class _NewImage(NamedTuple):
    """An image to embed; row_id is None unless it replaces a stored one's embedding."""

    name: str
    file: StoredFile
    pixels: Image.Image
    row_id: int | None


@dataclass
class _Tally:
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)


class Ingest:
    """One run over image files into one collection."""

    def __init__(self, index: IndexStore, model: Model, batch_size: int) -> None:
        self._index = index
        self._connection = index.connection
        self._dialect = index.dialect
        self._table = index.table
        self._model = model
        self._batch_size = batch_size
        self._tally = _Tally()
        self.ids: list[int] = []
        """The rows that were inserted."""

    def run(self, images: Sequence[FoundImage], progress: Progress) -> AddReport:
        """Embed and store the images that are new or changed, one transaction a batch."""
        started = time.perf_counter()
        done = 0
        progress(0, len(images))
        with ThreadPoolExecutor(thread_name_prefix="decode") as pool:
            for batch in _batches(images, self._batch_size):
                self._add(batch, pool)
                done += len(batch)
                progress(done, len(images))
        return AddReport(
            added=self._tally.added,
            updated=self._tally.updated,
            unchanged=self._tally.unchanged,
            failed=tuple(self._tally.failed),
            seconds=time.perf_counter() - started,
        )

    def _add(self, batch: list[FoundImage], pool: ThreadPoolExecutor) -> None:
        known = self._known(batch)
        outcomes = pool.map(lambda found: _read(found, known.get(str(found.path))), batch)
        new: list[_NewImage] = []
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self._tally.failed.append(outcome)
            elif outcome is None:
                self._tally.unchanged += 1
            else:
                new.append(outcome)
        if new:
            self._store(new, self._embed(new))

    def _known(self, batch: Iterable[FoundImage]) -> dict[str, _Known]:
        paths = [found.path for found in batch if _is_unicode(found)]
        if not paths:
            return {}
        rows = self._connection.query(self._dialect.known_files(self._table, paths))
        return {row[1]: _Known(row[0], *row[2:]) for row in rows}

    def _embed(self, new: Sequence[_NewImage]) -> FloatArray:
        embeddings = self._model.embed_images([image.pixels for image in new])
        return check_embeddings(embeddings, self._model.dim)

    def _store(self, new: list[_NewImage], embeddings: FloatArray) -> None:
        try:
            self._write(new, embeddings)
        except DatabaseError as error:
            if error.code != DUPLICATE_KEY:
                raise
            # Another process has stored some of these files since they were looked up.
            known = self._known(FoundImage(image.file.path, image.name) for image in new)
            rest = [i for i, image in enumerate(new) if str(image.file.path) not in known]
            self._tally.unchanged += len(new) - len(rest)
            if rest:
                self._write([new[i] for i in rest], embeddings[rest])

    def _write(self, new: list[_NewImage], embeddings: FloatArray) -> None:
        fresh = [i for i, image in enumerate(new) if image.row_id is None]
        ids: list[int] = []
        with self._connection.transaction():
            if fresh:
                ids = insert_rows(self._index, [new[i].name for i in fresh], embeddings[fresh])
                files = [(row_id, new[i].file) for row_id, i in zip(ids, fresh, strict=True)]
                self._connection.execute(self._dialect.insert_files(self._table, files))
            for image, embedding in zip(new, embeddings, strict=True):
                if image.row_id is not None:
                    self._replace(image.row_id, image.file, embedding)
        self.ids += ids
        self._tally.added += len(fresh)
        self._tally.updated += len(new) - len(fresh)

    def _replace(self, row_id: int, file: StoredFile, embedding: FloatArray) -> None:
        self._index.remove([row_id])
        update = self._dialect.update_embedding(self._table, row_id, pack(embedding))
        self._connection.execute(update)
        self._index.insert([row_id], embedding[np.newaxis])
        self._connection.execute(self._dialect.update_file(self._table, row_id, file))


def insert_rows(index: IndexStore, names: Sequence[str], embeddings: FloatArray) -> list[int]:
    """Insert names and embeddings (n, dim) in one statement, with their codes; return the ids."""
    connection, dialect = index.connection, index.dialect
    rows = [
        (stored_name(name), pack(embedding))
        for name, embedding in zip(names, embeddings, strict=True)
    ]
    first = connection.insert(dialect.insert_embeddings(index.table, rows))
    step = int(connection.value(dialect.id_step()))
    ids = [first + i * step for i in range(len(rows))]
    index.insert(ids, embeddings)
    return ids


def stored_name(name: str) -> str:
    """Return the name as the image_name column can hold it: its last 255 characters."""
    return name[-MAX_NAME:]


def _read(found: FoundImage, known: _Known | None) -> _NewImage | Failure | None:
    """Return the image to embed, why it cannot be read, or None where it is stored already."""
    if not _is_unicode(found):
        shown = str(found.path).encode(errors="backslashreplace").decode()
        return Failure(found.path, f"{shown}: the file's name is not UTF-8; rename the file")
    try:
        status = found.path.stat()
        if known and (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return None
        digest = content_hash(found.path)
        if known and known.content_hash == digest:
            return None
        pixels = open_image(found.path)
    except ImageError as error:
        return Failure(found.path, str(error))
    except OSError as error:
        return Failure(found.path, f"{found.path}: {error.strerror or error}")
    file = StoredFile(found.path, digest, status.st_size, status.st_mtime_ns)
    return _NewImage(stored_name(found.name), file, pixels, known.id if known else None)


def _is_unicode(found: FoundImage) -> bool:
    try:
        str(found.path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _batches(images: Iterable[FoundImage], size: int) -> Iterator[list[FoundImage]]:
    iterator = iter(images)
    while batch := list(islice(iterator, size)):
        yield batch
