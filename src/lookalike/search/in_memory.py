"""Many searches at once by the index in memory: estimates here, embeddings from the server."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.threads import available_cores, one_thread
from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, ids_array, similarity, unpack
from lookalike.database.connection import Row
from lookalike.database.table import VectorTable
from lookalike.dialects import Statement
from lookalike.index.ivf import Cells, Ids, Index
from lookalike.index.memory import Chosen, MemoryIndex, concatenated
from lookalike.index.probes import PROBED, READ
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.ranking import above, best, is_settled, matches_of

FEWEST_QUERIES = 100
"""Fewer are never worth loading the index for."""

LOADED = 5.0
"""Microseconds to load a code, in the unit of `probes.READ`."""

MAX_ROWS = 1000
"""With more rows to compare for each query, the server's part is small: SQL searches."""

_QUERIES, _MOST_QUERIES = 256, 16_384
_CANDIDATES = 1024
_BYTES = 2**26
_IDS = 5000


_MakeStatement = Callable[[VectorTable, Sequence[int]], Statement]


class _Checked(NamedTuple):
    """A row's name, and the CRC32 of its embedding."""

    name: str | None
    checksum: int | None


class _Rows(NamedTuple):
    """Rows that were read: ids sorted, shape (n,), embeddings (n, dim), and names by id.

    checksums: what is known by id of rows whose embeddings are in memory.
    """

    ids: Ids
    embeddings: FloatArray
    names: dict[int, str | None]
    checksums: dict[int, _Checked]


Ranked = list[tuple[int, list[Match] | None]]
"""Numbers of queries and their results; None for one that must be searched alone."""


def pays(index: Index, options: Sequence[SearchOptions]) -> bool:
    """Whether loading the index costs less than it saves on searches with these options."""
    if len(options) < FEWEST_QUERIES or any(o.rescored(index) > MAX_ROWS for o in options):
        return False
    return sum(saved_by(index, each) for each in options) > cost_of_loading(index)


def saved_by(index: Index, options: SearchOptions) -> float:
    """Return what the index in memory saves on a search, in the unit of `probes.READ`.

    By SQL, the server reads the codes of each search's cells; in memory this costs next to nothing.
    """
    probes = min(options.n_probes or index.plan.n_probes, index.n_cells)
    return probes * (READ * index.trained_rows / index.n_cells + PROBED)


def cost_of_loading(index: Index) -> float:
    """Return what loading the codes costs, in the same unit."""
    return LOADED * index.trained_rows


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
                for number, matches in search.run(part, n_probes, rows, k):
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
        self, numbers: Sequence[int], n_probes: int | None, rows: int, k: int
    ) -> Iterator[tuple[int, list[Match] | None]]:
        """Yield the number and the results of each of these queries, in any order."""

        def choose(part: Sequence[int]) -> Chosen:
            queries = np.stack([self._many[number].embedding for number in part])
            return self._memory.chosen(queries, n_probes=n_probes, rows=rows, k=k)

        found = self._threads.map(choose, _parts(numbers, _QUERIES))
        parts = self._in_order(found, len(numbers))
        ranking: deque[Future[Ranked]] = deque()
        for places, chosen in parts:
            rank = self._rank if chosen.checksums is None else self._rank_checked
            asking = [numbers[place] for place in places.tolist()]
            ranking.append(self._threads.submit(rank, asking, chosen, self._read(chosen)))
            while len(ranking) > available_cores():
                yield from ranking.popleft().result()
        while ranking:
            yield from ranking.popleft().result()

    def _in_order(self, found: Iterator[Chosen], n: int) -> Iterator[tuple[Cells, Chosen]]:
        """Yield the candidates in parts, each with the places of its queries, of n in all.

        Where embeddings are to be read, queries of near cells come together: they have candidates
        in common, which are then read once.
        """
        first = next(found)
        if first.checksums is not None:
            start = 0
            for part in chain([first], found):
                yield np.arange(start, start + len(part.ids)), part
                start += len(part.ids)
            return
        chosen = concatenated([first, *found])
        order = np.argsort(self._memory.places[chosen.cells], kind="stable")
        step = max(1, min(_CANDIDATES, _BYTES // (4 * self._table.dim * chosen.ids.shape[1])))
        for start in range(0, n, step):
            yield order[start : start + step], chosen.take(order[start : start + step])

    def _read(self, chosen: Chosen) -> _Rows:
        """Read the candidates of some queries and the tail, each once."""
        ids, dialect, checksums = chosen.ids, self._table.dialect, dict[int, _Checked]()
        if chosen.checksums is None:
            ids = np.append(ids[ids >= 0], self._tail)
        else:
            read = self._query(ids[ids >= 0], dialect.named_checksums)
            checksums = {row[0]: _Checked(row[1], row[2]) for row in read}
            ids = self._tail
        rows = [row for row in self._query(ids, dialect.named_embeddings) if row[2] is not None]
        rows.sort(key=lambda row: row[0])
        embeddings = unpack([row[2] for row in rows], self._table.dim)
        names = {row[0]: row[1] for row in rows}
        return _Rows(ids_array(names), embeddings, names, checksums)

    def _query(
        self, ids: Ids, make: Callable[[VectorTable, Sequence[int]], Statement]
    ) -> list[Row]:
        return [
            row
            for part in _parts(np.unique(ids).tolist(), _IDS)
            for row in self._table.connection.query_parts(
                part, lambda some: make(self._table, some)
            )
        ]

    def _rank(self, numbers: Sequence[int], chosen: Chosen, read: _Rows) -> Ranked:
        """Return the results of some queries by the embeddings that were read."""
        ranked: Ranked = []
        tail = _places(read.ids, self._tail)
        for number, ids_of, n in zip(numbers, chosen.ids, chosen.coded.tolist(), strict=True):
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

    def _rank_checked(self, numbers: Sequence[int], chosen: Chosen, read: _Rows) -> Ranked:
        """Return the results of some queries by the exact embeddings in memory.

        A query of which a result is not as in the table has to be searched alone.
        """
        assert chosen.similarities is not None and chosen.checksums is not None
        ranked: Ranked = []
        columns = chosen.ids.tolist(), chosen.similarities.tolist(), chosen.checksums.tolist()
        for number, *row in zip(numbers, *columns, strict=True):
            asked, matches = self._many[number], list[Match]()
            for row_id, score, checksum in zip(*row, strict=True):
                known = read.checksums.get(row_id)
                if known is None or known.checksum != checksum:
                    break
                matches.append(Match(row_id, known.name or "", score))
            is_right = len(matches) == asked.options.k
            if is_right and read.ids.size:
                scores = similarity(asked.embedding, read.embeddings, self._table.metric)
                of_tail = matches_of(*best(read.ids, scores, asked.options.k), read.names)
                both = {match.id: match for match in [*matches, *of_tail]}.values()
                matches = sorted(both, key=lambda m: (-m.similarity, m.id))[: asked.options.k]
            ranked.append((number, above(matches, asked.options) if is_right else None))
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
