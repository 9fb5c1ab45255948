"""Training an index: centroids, the codes of every embedding, and the switch to it.

The next generation is built next to the current one, from a snapshot, while searches and `add`
continue. Then, under an exclusive lock (writers hold it shared), later changes are applied and one
UPDATE switches. An interrupted training leaves the old generation untouched, and tables that the
next training drops.
"""

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import numpy as np
from tenacity import retry, retry_if_exception_type, stop_after_attempt

from lookalike.core.errors import DatabaseError, InputError
from lookalike.core.types import INDEX_SIZES, IndexSizes, Plan
from lookalike.core.vectors import FloatArray, ids_array, pack_bfloat16, unpack_bfloat16
from lookalike.database.errors import Busy
from lookalike.dialects import IndexState, generation_comment, generation_of
from lookalike.index.encoding import encode_all, write
from lookalike.index.ivf import Codes, Ids, Index, Preparation, unit_for
from lookalike.index.parallel import overlapped
from lookalike.index.probes import QUERIES, TARGET_RECALL, PlanFinder
from lookalike.index.rotation import FactoredRotation
from lookalike.index.store import IndexStore
from lookalike.index.versions import note_changes

T = TypeVar("T")

GROWTH = 4
"""An index is trained again when the collection has grown by this factor."""

MAX_CELLS = 65_535
SAMPLE_PER_CELL = 32
ITERATIONS = 6
DROP_SECONDS = 1
"""Tables that an open transaction has read cannot be dropped until it ends."""

KINDS = ("cells", "codes")

_SAMPLE_BATCH = 1000
_SAMPLE_BYTES = 2_000_000


def n_cells_for(rows: int, sizes: IndexSizes = INDEX_SIZES) -> int:
    """Return the number of cells: about 4 sqrt(rows), or one below `sizes.rows_for_cells`."""
    return 1 if rows < sizes.rows_for_cells else min(MAX_CELLS, round(4 * math.sqrt(rows)))


def train_centroids(sample: FloatArray, n_cells: int, seed: int) -> FloatArray:
    """Return centroids, shape (n_cells, dim), by k-means on prepared embeddings (n, dim)."""
    if n_cells == 1:
        return np.asarray(sample.mean(axis=0, dtype=np.float64)[np.newaxis], np.float32)
    import faiss

    kmeans = faiss.Kmeans(
        sample.shape[1],
        n_cells,
        niter=ITERATIONS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=SAMPLE_PER_CELL,
    )
    kmeans.train(sample)
    return np.asarray(kmeans.centroids, np.float32)


def is_due(store: IndexStore) -> bool:
    """Whether the collection has grown, or its index has lost rows, enough to train."""
    table = store.table
    connection, dialect = table.connection, table.dialect
    index = store.load()
    if index is None:
        # If the server can rank, our index is built only on request, which its record tells.
        is_wanted = dialect.makes_index(table.metric) or store.state() is not None
        wanted = store.sizes.fewest_rows if is_wanted else None
    else:
        wanted = 1 if store.lost_codes else GROWTH * index.trained_rows
    low, high = connection.query(dialect.id_range(table))[0]
    # The range of ids is cheap to read; count the rows only if it is large enough.
    if wanted is None or high is None or high - low + 1 < wanted:
        return False
    return int(connection.value(dialect.count_embeddings(table))) >= wanted


def train(
    store: IndexStore,
    *,
    seed: int = 0,
    target_recall: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Index | None:
    """Train an index on all rows of the store's table and switch to it.

    target_recall: the share of the true 10 nearest to find, by default as in the last training.
    Returns None if another process is training, or there are too few rows.
    """
    if target_recall is not None and not 0.5 <= target_recall <= 0.999:
        raise InputError(f"target_recall is {target_recall}; give 0.5 to 0.999")
    table = store.table
    connection, dialect = table.connection, table.dialect
    lock, unlock = dialect.trainer_lock(table), dialect.trainer_unlock(table)
    with connection.named_lock(lock, unlock) as is_ours:
        if not is_ours:
            return None
        for statement in (
            *dialect.create_schema(),
            *dialect.create_indexes(),
            *dialect.create_versions(),
        ):
            connection.execute(statement)
        ids = _ids(store)
        if ids.size < store.sizes.fewest_rows:
            return None
        state = store.state()
        target = target_recall or (state.target_recall if state else TARGET_RECALL)
        index, finder = _train_on_sample(store, ids, _start(store, state), seed)
        codes, index = encode_all(index, store, finder, progress)
        index = _write_and_plan(index, store, codes, finder, target)
        _switch(index, store, codes.ids, ids)
        store.note_compared(lost_codes=False)
        return index


def _ids(store: IndexStore) -> Ids:
    table = store.table
    return ids_array(row[0] for row in table.connection.query(table.dialect.indexable_ids(table)))


def _start(store: IndexStore, state: IndexState | None) -> int:
    """Announce the next generation, drop what interrupted ones left, and return its number."""
    table = store.table
    connection, dialect = table.connection, table.dialect
    current = state.generation if state else 0
    names = drop_generations(store, but=current)
    generation = current + 1
    while any(f"{table.name}_{kind}_{generation}".lower() in names for kind in KINDS):
        generation += 1
    connection.execute(dialect.forget_changes(table))
    # From now on changes are logged. This waits for transactions that started before.
    _patiently(lambda: connection.execute(dialect.start_building(table, generation)))
    bits = FactoredRotation(store.table.dim, 0).bits
    types: dict[str, str] = dict(connection.query(dialect.table_columns(table)))
    for statement in dialect.create_generation(table, generation, bits, types[table.id_column]):
        connection.execute(statement)
    return generation


def drop_generations(store: IndexStore, *, but: int) -> set[str]:
    """Drop this index's tables of other generations; return the names that are still taken.

    Other programs may have tables with such names: only tables with lookalike's comment are
    dropped. A table that an open transaction has read is left for the next training.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    taken = set()
    for name, comment in connection.query(dialect.generation_tables(table)):
        taken.add(name.lower())
        kind, number = generation_of(table.name, name) or ("", 0)
        if kind and comment == generation_comment(table.name, number) and number != but:
            try:
                with connection.lock_wait(DROP_SECONDS):
                    connection.execute(dialect.drop_generation(table, number, [kind]))
                taken.remove(name.lower())
            except Busy:
                continue
    return taken


def _train_on_sample(
    store: IndexStore, ids: Ids, generation: int, seed: int
) -> tuple[Index, PlanFinder]:
    """Return the index without its measured plan and spreads, and the object that measures them."""
    rng = np.random.default_rng(seed)
    n_cells = n_cells_for(ids.size, store.sizes)
    size = min(ids.size, max(n_cells * SAMPLE_PER_CELL, store.sizes.fewest_rows))
    sample_ids = np.sort(rng.choice(ids, size, replace=False))
    unit = _unit(store, sample_ids)
    sampled, sample = _prepared(store, sample_ids, seed, unit)
    if not len(sample):
        raise DatabaseError(f"collection {store.table.title!r} has no embeddings to index")
    trained = train_centroids(sample, min(n_cells, len(sample)), seed)
    # Round them as they are stored: the meaning of a code depends on every bit.
    centroids = unpack_bfloat16(pack_bfloat16(trained), trained.shape[1])
    index = Index(
        metric=store.table.metric,
        dim=store.table.dim,
        generation=generation,
        seed=seed,
        unit=unit,
        plan=Plan(1, 0.0, 0, None, TARGET_RECALL),
        trained_rows=ids.size,
        centroids=centroids,
        spreads=np.zeros(len(centroids), np.float32),
    )
    chosen = rng.choice(len(sample), min(QUERIES, len(sample)), replace=False)
    return index, PlanFinder(index.metric, sample[chosen], sampled[chosen])


def _unit(store: IndexStore, ids: Ids) -> float:
    """Return the unit for the lengths of some embeddings; cosine needs none."""
    if store.table.metric == "cosine":
        return 1.0
    return unit_for(
        store.table.indexable_embeddings(ids[:: max(1, ids.size // _SAMPLE_BATCH)].tolist())[1]
    )


def _prepared(store: IndexStore, ids: Ids, seed: int, unit: float) -> tuple[Ids, FloatArray]:
    """Read and prepare embeddings batch by batch, so that memory holds them only once."""
    table = store.table
    prepare = Preparation(table.metric, FactoredRotation(table.dim, seed), unit)
    sample, n = np.empty((ids.size, prepare.rotation.bits), np.float32), 0
    usable_ids = np.empty(ids.size, np.int64)
    step = max(1, min(_SAMPLE_BATCH, _SAMPLE_BYTES // (4 * table.dim)))
    read = (table.indexable_embeddings(part) for part in _parts(ids, step))
    with closing(overlapped(read, lambda part: (part[0], prepare(part[1])))) as batches:
        for found, prepared in batches:
            sample[n : n + len(found)] = prepared
            usable_ids[n : n + len(found)] = found
            n += len(found)
    return usable_ids[:n], sample[:n]


def _write_and_plan(
    index: Index, store: IndexStore, codes: Codes, finder: PlanFinder, target: float
) -> Index:
    """Write the codes, and return the index with the plan, which a thread measures meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        plan = thread.submit(finder.plan, index, codes, target)
        write(index, store, codes)
    return replace(index, plan=plan.result(), trained_rows=len(codes.ids))


def _switch(
    index: Index,
    store: IndexStore,
    coded: Ids,
    known: Ids,
) -> None:
    """Switch to the new generation once it matches the table.

    known: the ids when training began. Uncommitted rows of other programs are unknown, so the tail
    begins before them.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    last = int(known.max())

    def switch() -> None:
        with connection.apart():
            connection.execute(dialect.read_uncommitted())
            all_ids = _all_ids(store)
        with connection.transaction():
            # Waits for current writers, and makes new ones wait.
            store.state("update")
            committed = _bring_up_to_date(index, store, coded)
            # Ids that are missing now were deleted meanwhile.
            pending = _without(_without(all_ids[all_ids <= last], committed), known)
            through = int(pending.min()) - 1 if pending.size else last
            connection.execute(dialect.set_tail(table, through))
            connection.execute(dialect.set_strays(table, 0))
            connection.execute(dialect.switch_generation(table, _state_of(index)))
            note_changes(table, None)

    _patiently(switch)
    drop_generations(store, but=index.generation)


def _state_of(index: Index) -> IndexState:
    plan = index.plan
    return IndexState(
        generation=index.generation,
        building=None,
        seed=index.seed,
        unit=index.unit,
        n_probes=plan.n_probes,
        probe_gap=plan.probe_gap,
        rescored=plan.rescored,
        recall=plan.recall,
        target_recall=plan.target_recall,
        trained_rows=index.trained_rows,
        fingerprint=index.fingerprint,
        rotation=index.rotation,
    )


def _bring_up_to_date(index: Index, store: IndexStore, coded: Ids) -> Ids:
    """Add and remove codes for rows inserted, deleted or changed since `coded` was read.

    Return the current ids.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    changed = ids_array(row[0] for row in connection.query(dialect.changes(table)))
    now = _all_ids(store)
    gone = np.union1d(_without(coded, now), changed[np.isin(changed, coded)])
    come = np.union1d(_without(now, coded), changed[np.isin(changed, now)])
    for ids in _parts(gone):
        connection.execute(dialect.delete_codes_by_id(table, index.generation, ids))
    for ids in _parts(come):
        found, embeddings = store.table.indexable_embeddings(ids)
        store.insert_codes(index, index.code_rows(found.tolist(), embeddings))
    connection.execute(dialect.forget_changes(table))
    return now


def _all_ids(store: IndexStore) -> Ids:
    """Return the ids as `_ids` does, in any order, but faster."""
    table = store.table
    lists = table.connection.query(table.dialect.lists_of_ids(table))
    return ids_array(row_id for (array,) in lists for row_id in json.loads(array))


def _without(ids: Ids, others: Ids) -> Ids:
    """Return the ids that are not among others: numpy's setdiff1d would sort all for seconds."""
    return ids[~np.isin(ids, others)]


def _parts(ids: Ids, step: int = _SAMPLE_BATCH) -> Iterator[list[int]]:
    for start in range(0, ids.size, step):
        yield ids[start : start + step].tolist()


@retry(
    retry=retry_if_exception_type(Busy),
    stop=stop_after_attempt(10),
    reraise=True,
)
def _patiently(action: Callable[[], T]) -> T:
    """Retry an action while another program's transaction holds a lock that it needs."""
    return action()
