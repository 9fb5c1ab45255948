"""Load an index into memory, and bring a copy to the newest version.

A copy is one snapshot of the codes' table, and of the embeddings if these are wanted. Rows above
the last processed id, which have no codes yet, are told by id, so that whoever searches compares
them exactly, as the SQL of a search does.
"""

import json
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from lookalike.core.progress import Progress
from lookalike.core.types import Precision
from lookalike.core.vectors import ids_array
from lookalike.database.connection import Row
from lookalike.database.errors import MissingTable, Privilege, ReadOnly
from lookalike.database.table import VectorTable
from lookalike.dialects import Version
from lookalike.index.faiss_lists import refusal
from lookalike.index.ivf import Codes, Ids, Index, concatenate
from lookalike.index.memory import MemoryIndex, bytes_needed
from lookalike.index.memory_vectors import PRECISIONS
from lookalike.index.store import IndexStore
from lookalike.index.versions import start_versions

MAX_TAIL = 1000
"""With more rows without codes, SQL searches: it reads them where they are."""

MEMORY_SHARE = 0.25
"""The most of the free memory to take by default."""

ROOM_SHARE, LEAST_ROOM = 0.25, 10_000
"""Room for changes: so large a share of the codes, and at least so many."""

_BATCH = 20_000
_VECTOR_BYTES = 16_000_000


def load(
    store: IndexStore,
    *,
    notify: Callable[[str], None],
    limit: int | None = None,
    with_vectors: bool = False,
    progress: Progress = lambda done, total: None,
    is_stopped: Callable[[], bool] = lambda: False,
    max_tail: int = MAX_TAIL,
    batch: int = _BATCH,
) -> MemoryIndex | None:
    """Read the current generation into memory; None where SQL has to search.

    That is without an index, with a large tail, in a transaction or session of the thread, which
    may see rows of its own, with too little memory or with a faiss that cannot hold the codes;
    `notify` is told of the last two.

    Args:
        store: The index.
        notify: Called with one line.
        limit: The most memory to take, in bytes; None: a quarter of what is free.
        with_vectors: Whether to load the embeddings, as exactly as the limit allows.
        progress: Called with (codes read, codes in all).
        is_stopped: Whether to stop, and return None.
        max_tail: How many rows without codes there may be.
        batch: How many codes to read at a time.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    if connection.is_held:
        return None
    try:
        # One snapshot for everything.
        with connection.transaction():
            versions = connection.query(dialect.codes_version(table))
            index = store.load()
            if index is None:
                return None
            lowest = connection.query(dialect.id_range(table))[0][0]
            if (lowest or 0) < 0:
                notify("MySQL searches the index: only ids from 0 on are held in memory.")
                return None
            n = int(connection.value(dialect.count_codes(table, index.generation)))
            fitting = _fitting(index, n, limit, with_vectors, notify)
            if not n or fitting is None:
                return None
            after = connection.value(dialect.tail(table)) or 0
            rows = connection.query(dialect.first_ids_above(table, after, max_tail + 1))
            if table.log:  # their codes may be old: they are compared exactly, as the tail is
                rows += connection.query(dialect.logged_ids(table))
            if len(rows) > max_tail:
                return None
            memory = MemoryIndex(index, n + max(LEAST_ROOM, int(ROOM_SHARE * n)), fitting[0])
            codes = _codes(store, index, batch, is_stopped)
            _fill(memory, codes, lambda done: progress(done, n))
            if memory.precision:
                _fill_vectors(memory, table, is_stopped)
    except MissingTable:  # another program dropped the codes, or there are no versions
        return None
    memory.version = Version(*versions[0]) if versions else None
    memory.tail = ids_array(row[0] for row in rows)
    return None if is_stopped() else memory


def no_versions(store: IndexStore) -> str | None:
    """Return why the codes have no versions, by which a copy is kept fresh; None if they have.

    Begins with one if there is none yet.
    """
    table = store.table
    if table.connection.query(table.dialect.several_primaries()):
        return "in a group with several primaries changes are not committed in one order"
    try:
        if not table.connection.query(table.dialect.codes_version(table)):
            start_versions(table)
    except (MissingTable, Privilege, ReadOnly):
        return (
            "its changes are not logged yet, and this user may not write: run `lookalike index "
            "rebuild` once as one who may"
        )
    return None


def _fitting(
    index: Index, n: int, limit: int | None, with_vectors: bool, notify: Callable[[str], None]
) -> tuple[Precision | None] | None:
    """Return the precision of the embeddings to load, None for none; None if no code fits."""
    import psutil

    available = psutil.virtual_memory().available
    most = int(MEMORY_SHARE * available) if limit is None else limit
    needed = bytes_needed(index, n)
    if needed > most:
        why = f"a quarter of the {_mb(available)} that are free is to spare"
        if limit is not None:
            why = f"the limit is {_mb(limit)}"
        notify(
            f"The index takes {_mb(needed)} in memory, and {why}: MySQL searches it, which takes "
            "longer."
        )
        return None
    if (reason := refusal()) is not None:
        notify(f"MySQL searches the index, which takes longer, because {reason}.")
        return None
    wanted = PRECISIONS if with_vectors else ()
    return (next((each for each in wanted if bytes_needed(index, n, each) <= most), None),)


def _mb(size: int) -> str:
    return f"{size / 2**20:,.1f} MB"


def _codes(
    store: IndexStore, index: Index, batch: int, is_stopped: Callable[[], bool]
) -> Iterator[Codes]:
    """Yield the codes' table in key order."""
    statement = store.table.dialect.all_codes(store.table, index.generation)
    width = index.centroids.shape[1] // 8
    stream = store.table.connection.stream(statement, batch=batch)
    try:
        for rows in stream:
            if is_stopped():
                return
            codes = _columns(rows, width)
            # No search reads cells without a centroid.
            yield codes.take(np.flatnonzero(codes.cells < index.n_cells))
    finally:
        stream.close()


def _columns(rows: list[Row], width: int) -> Codes:
    cells, ids, packed, scales, biases = zip(*rows, strict=True)
    return Codes(
        np.array(cells, np.intp),
        ids_array(ids),
        np.frombuffer(b"".join(packed), np.uint8).reshape(len(rows), width),
        np.array(scales, np.float32),
        np.array(biases, np.float32),
    )


def _fill(memory: MemoryIndex, batches: Iterator[Codes], progress: Callable[[int], None]) -> None:
    """Add codes that come in key order; each cell at once, so that its list is just as long."""
    rest: list[Codes] = []
    for codes in batches:
        if not len(codes.ids):
            continue
        if rest and rest[-1].cells[-1] != codes.cells[0]:
            memory.add(concatenate(rest))
            rest = []
        first = int(np.searchsorted(codes.cells, codes.cells[-1]))
        if first:
            memory.add(concatenate([*rest, codes.take(slice(first))]))
            rest = []
        rest.append(codes.take(slice(first, None)))
        progress(len(memory))
    if rest:
        memory.add(concatenate(rest))
    progress(len(memory))


def _fill_vectors(memory: MemoryIndex, table: VectorTable, is_stopped: Callable[[], bool]) -> None:
    size = max(1, _VECTOR_BYTES // (4 * table.dim))
    stream = table.connection.stream(table.dialect.all_embeddings(table), batch=size)
    try:
        for rows in stream:
            if is_stopped():
                return
            memory.add_vectors(*table.indexable(rows))
    finally:
        stream.close()


def catch_up(store: IndexStore, memory: MemoryIndex) -> bool:
    """Bring a copy to the newest version, however many rows have changed.

    Returns False if it must be loaded anew.
    """
    table, old = store.table, memory.version
    connection, dialect = table.connection, table.dialect
    assert old is not None
    try:
        with connection.transaction():
            new = Version(*connection.query(dialect.codes_version(table))[0])
            changed = _changed_since(old, new, connection.query(dialect.log_since(table, old)))
            if changed is None:
                return False
            step = max(1, _VECTOR_BYTES // (4 * table.dim))
            for start in range(0, changed.size, step):
                part = changed[start : start + step]
                if not memory.apply(part, *table.indexable_embeddings(part.tolist()), None):
                    return False
    except (IndexError, MissingTable):
        return False
    return memory.apply(changed[:0], *table.indexable([]), new)


def _changed_since(old: Version, new: Version, log: Sequence[Row]) -> Ids | None:
    """Return the ids that changed since a version; None if the log does not tell."""
    if new.origin != old.origin or new.version < old.version:
        return None
    if new != old and (not log or log[0][:2] != old[1:]):
        return None
    later = [ids for version, _, ids in log if version > old.version]
    if any(ids is None for ids in later):
        return None
    return ids_array({row_id for ids in later for row_id in json.loads(ids)})
