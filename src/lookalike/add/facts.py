"""Read the facts of stored files that lack them, new or old, and store them as attributes."""

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice

from lookalike.add.ingest import IngestOptions
from lookalike.attributes.facts import FileFacts, prepare_facts, store_facts
from lookalike.core.errors import ImageError
from lookalike.core.facts import MAX_FACT, FactValue
from lookalike.core.progress import Progress
from lookalike.core.remote import located
from lookalike.core.threads import available_cores
from lookalike.database.connection import Row
from lookalike.database.retry import Persistence
from lookalike.database.table import VectorTable
from lookalike.images.walk import ImageWalk
from lookalike.pipeline.decoder import Decoder, OutOfReach

BATCH = 256
"""Number of files whose facts are stored in one transaction."""


class FactsReader:
    """Reads the facts of one collection's files, in processes of their own.

    id_type: the SQL type of the collection's ids. Raises InputError if an attribute of the user's
    own has the name of a fact.
    """

    def __init__(
        self,
        table: VectorTable,
        options: IngestOptions,
        persistence: Persistence,
        id_type: str,
        *,
        batch: int = BATCH,
    ) -> None:
        self._table = table
        self._location = location = options.location
        self._persistence = persistence
        self._time_limit = options.time_limit
        self._batch = batch
        persistence.run(lambda: prepare_facts(table, id_type, location=location))

    def fill(self, walk: ImageWalk, progress: Progress) -> int:
        """Store the facts of the walk's stored files that lack them; return of how many.

        Files that are gone, or have changed since they were added, are left out.
        """
        done = seen = 0
        with _decoders(self._time_limit) as read_all:
            for files in self._due(walk):
                read = [each for each in read_all(files) if each]
                if read:
                    done += self._persistence.run(partial(self._store, read))
                seen += len(files)
                progress(seen, None)
        return done

    def _store(self, read: Sequence[FileFacts]) -> int:
        return store_facts(self._table, read, location=self._location)

    def _due(self, walk: ImageWalk) -> Iterator[list[Row]]:
        """Yield (id, path, content_hash, size, mtime_ns) of the files without facts, in batches."""
        for folder in () if walk.is_partial else walk.folders:
            below, after = f"{str(folder).rstrip('/')}/", 0
            while files := self._persistence.run(partial(self._below, below, after)):
                yield files
                after = files[-1][0]
        named = (found.path for found in walk) if walk.is_partial else iter(walk.files)
        while paths := [str(path) for path in islice(named, self._batch)]:
            if files := self._persistence.run(partial(self._named, paths)):
                yield files

    def _below(self, folder: str, after: int) -> list[Row]:
        statement = self._table.dialect.files_below_without_facts(
            self._table, folder, after, self._batch, location=self._location
        )
        return self._table.connection.query(statement)

    def _named(self, paths: Sequence[str]) -> list[Row]:
        dialect = self._table.dialect
        statement = dialect.files_without_facts(self._table, paths, location=self._location)
        return self._table.connection.query(statement)


@contextmanager
def _decoders(time_limit: float) -> Iterator["_ReadAll"]:
    """Yield a function that reads the facts of files, several at a time."""
    free: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
    decoders = [Decoder(lambda: None, time_limit=time_limit) for _ in range(available_cores())]
    for decoder in decoders:
        free.put(decoder)
    pool = ThreadPoolExecutor(len(decoders), thread_name_prefix="lookalike-facts")
    try:
        yield _ReadAll(pool, free)
    except BaseException:
        for decoder in decoders:
            decoder.kill()
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        for decoder in decoders:
            decoder.close()


@dataclass(frozen=True)
class _ReadAll:
    pool: ThreadPoolExecutor
    free: "queue.SimpleQueue[Decoder]"

    def __call__(self, files: Sequence[Row]) -> Iterator[FileFacts | None]:
        return self.pool.map(self._read, files)

    def _read(self, row: Row) -> FileFacts | None:
        row_id, path, content, size, mtime_ns = row
        decoder = self.free.get()
        try:
            told = decoder.facts(located(path))
        except OutOfReach:
            return None
        except ImageError:  # damaged since, or only its metadata
            return FileFacts(row_id, path, content, _outer(path, size))
        finally:
            self.free.put(decoder)
        if (told.size, told.mtime_ns) != (size, mtime_ns):
            return None
        return FileFacts(row_id, path, content, {**told.facts, **_outer(path, size)})


def _outer(path: str, size: int) -> dict[str, FactValue]:
    """Return what is known of a file without opening it."""
    folder = located(path).parent.name[:MAX_FACT]
    return {"file_size": size, **({"folder": folder} if folder else {})}
