"""Many searches at once by the index in memory: estimates here, embeddings from the server."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.threads import available_cores, one_thread
from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, ids_array, similarity, unpack
from lookalike.database.table import VectorTable
from lookalike.index.ivf import Cells, Ids, Index
from lookalike.index.memory import Chosen, MemoryIndex
from lookalike.index.probes import PROBED, READ
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.ranking import above, best, is_settled, matches_of

FEWEST_QUERIES = 100
"""Fewer are never worth loading the index for."""

LOADED = 5.0
"""Microseconds to load a code, in the unit of `probes.READ`."""

MAX_ROWS = 1000
"""With more rows to compare for each query, the server's part is small: SQL searches."""

KEPT = 2
"""Embeddings in memory choose so many times k of the candidates to read."""

_QUERIES, _MOST_QUERIES = 256, 16_384
_CANDIDATES = 1024
_BYTES = 2**26
_IDS = 5000


class _Rows(NamedTuple):
    """Rows that were read: ids sorted, shape (n,), embeddings (n, dim), and names by id."""

    ids: Ids
    embeddings: FloatArray
    names: dict[int, str | None]


def pays(index: Index, options: Sequence[SearchOptions]) -> bool:
    """Whether loading the index costs less than it saves on searches with these options.

    By SQL, the server reads the codes of each search's cells; in memory this costs next to nothing.
    """
    if len(options) < FEWEST_QUERIES or any(o.rescored(index) > MAX_ROWS for o in options):
        return False
    probes = sum(min(o.n_probes or index.plan.n_probes, index.n_cells) for o in options)
    saved = probes * (READ * index.trained_rows / index.n_cells + PROBED)
    return saved > LOADED * index.trained_rows


def search_in_memory(
    table: VectorTable, memory: MemoryIndex, many: Sequence[Asked], tail: Ids
) -> list[list[Match] | None]:
    """Search for many queries; None for each query that must be searched alone.

    tail: ids of the rows without codes, shape (n,).
    """
    found: list[list[Match] | None] = [None] * len(many)
    alike: dict[tuple[int | None, int, int], list[int]] = {}
    for number, (_, options, _) in enumerate(many):
        key = options.n_probes, options.rescored(memory.index), options.k
        alike.setdefault(key, []).append(number)
    with one_thread(), ThreadPoolExecutor(available_cores()) as threads:
        search = _Search(table, memory, many, tail, threads)
        for (n_probes, rows, k), numbers in alike.items():
            for part in _parts(numbers, _MOST_QUERIES):
                for number, matches in search.run(part, n_probes, rows, KEPT * k):
                    found[number] = matches
    return found


class _Search:
    """Runs searches: the threads compute, and only the caller's thread asks the server."""

    def __init__(
        self,
        table: VectorTable,
        memory: MemoryIndex,
        many: Sequence[Asked],
        tail: Ids,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._table, self._memory, self._many, self._threads = table, memory, many, threads
        self._tail = np.sort(tail)

    def run(
        self, numbers: Sequence[int], n_probes: int | None, rows: int, keep: int
    ) -> Iterator[tuple[int, list[Match] | None]]:
        """Yield the number and the results of each of these queries, in any order."""

        def choose(part: Sequence[int]) -> Chosen:
            queries = np.stack([self._many[number].embedding for number in part])
            return self._memory.chosen(queries, n_probes=n_probes, rows=rows, keep=keep)

        found = list(self._threads.map(choose, _parts(numbers, _QUERIES)))
        ids, coded, places = map(np.concatenate, zip(*found, strict=True))
        # Queries of near cells have candidates in common, which are then read once.
        order = np.argsort(places, kind="stable")
        step = max(1, min(_CANDIDATES, _BYTES // (4 * self._table.dim * ids.shape[1])))
        ranking: deque[Future[list[tuple[int, list[Match] | None]]]] = deque()
        for start in range(0, len(order), step):
            chosen = order[start : start + step]
            read = self._read(ids[chosen])
            part = [numbers[i] for i in chosen.tolist()]
            ranking.append(self._threads.submit(self._rank, part, ids[chosen], coded[chosen], read))
            while len(ranking) > available_cores():
                yield from ranking.popleft().result()
        while ranking:
            yield from ranking.popleft().result()

    def _read(self, candidates: Ids) -> _Rows:
        """Read the candidates of some queries and the tail, each once."""
        wanted = np.unique(np.append(candidates, self._tail))
        connection, dialect = self._table.connection, self._table.dialect
        rows = [
            row
            for part in _parts(wanted[wanted >= 0].tolist(), _IDS)
            for row in connection.query_parts(
                part, lambda some: dialect.named_embeddings(self._table, some)
            )
            if row[2] is not None
        ]
        rows.sort(key=lambda row: row[0])
        embeddings = unpack([row[2] for row in rows], self._table.dim)
        names = {row[0]: row[1] for row in rows}
        return _Rows(ids_array(names), embeddings, names)

    def _rank(
        self, numbers: Sequence[int], candidates: Ids, coded: Cells, read: _Rows
    ) -> list[tuple[int, list[Match] | None]]:
        """Return the results of some queries, whose candidates have shape (n, rows).

        coded: how many candidates each had before the best of them were chosen, shape (n,).
        """
        ranked: list[tuple[int, list[Match] | None]] = []
        tail = _places(read.ids, self._tail)
        for number, ids_of, n in zip(numbers, candidates, coded.tolist(), strict=True):
            asked = self._many[number]
            wanted = np.unique(ids_of[ids_of >= 0])
            alive = _places(read.ids, wanted)
            places = np.union1d(alive, tail) if tail.size else alive
            scores = similarity(asked.embedding, read.embeddings[places], self._table.metric)
            ids, scores = best(read.ids[places], scores, asked.options.k)
            matches = matches_of(ids, scores, read.names)
            dead = len(wanted) - len(alive)
            enough = is_settled(asked.options, self._memory.index, len(matches), n, n - dead)
            ranked.append((number, above(matches, asked.options) if enough else None))
        return ranked


def _places(known: Ids, ids: Ids) -> npt.NDArray[np.intp]:
    """Return where the ids are in known, which is sorted; those that are not there are left out."""
    if not known.size:
        return np.empty(0, np.intp)
    places = np.minimum(np.searchsorted(known, ids), len(known) - 1)
    return np.asarray(places[known[places] == ids])


def _parts(items: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part
