"""The nearest stored embeddings of a query embedding: planned, run, explained."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import DatabaseError
from lookalike.core.threads import one_thread
from lookalike.core.types import Match, Metric, Step
from lookalike.core.vectors import FloatArray, ids_array, pack, similarity, unpack
from lookalike.database.connection import PACKET_TOO_LARGE, Row
from lookalike.dialects import Filter, Statement
from lookalike.index.ivf import Index
from lookalike.index.store import NO_SUCH_TABLE, IndexStore
from lookalike.search.options import MAX_K, SearchOptions
from lookalike.search.selectivity import Probing, plan_probing

MAX_RESCORED = 50_000
"""Beyond it, comparing all embeddings is quicker."""

_SCAN_BATCH = 4096
_ENOUGH_ALIVE = 0.75
_WIDTH, _WIDTH_GROWTH = 256, 4


@dataclass
class Touched:
    """How many rows a step has touched."""

    rows: int | None = None


@dataclass
class Trace:
    """What a search has done, for `explain`."""

    steps: list[Step] = field(default_factory=list)
    statement: Statement | None = None

    @contextmanager
    def step(self, name: str, statement: Statement | None = None) -> Iterator[Touched]:
        touched = Touched()
        started = time.perf_counter()
        yield touched
        milliseconds = (time.perf_counter() - started) * 1000
        self.statement = statement or self.statement
        sql = None if statement is None else statement.sql
        self.steps.append(Step(name, milliseconds, touched.rows, sql))


class Searcher:
    """Searches one collection's table, through its index where there is one.

    where: search those rows alone that pass.
    """

    def __init__(self, store: IndexStore, where: Filter | None = None) -> None:
        self._store = store
        self._where = where
        self._connection = store.table.connection
        self._dialect = store.table.dialect
        self._table = store.table
        self._metric = store.table.metric

    def plan(
        self,
        query: FloatArray,
        options: SearchOptions,
        *,
        left_out: frozenset[int] = frozenset(),
    ) -> Statement:
        """Return the statement that `search` runs first, and nearly always alone."""
        options = _widened(options, len(left_out) + options.offset)
        index = None if options.exact else self._store.load()
        planned = None
        if index is not None and not options.is_exact(index):
            planned = self._planned(index, query, options, Trace())
        if index is None or planned is None:
            return self._exact(query, options)
        return self._codes(index, query, planned)

    def search(
        self,
        query: FloatArray,
        options: SearchOptions,
        trace: Trace,
        *,
        left_out: frozenset[int] = frozenset(),
    ) -> tuple[str, list[Match]]:
        """Return the name of the plan, and the nearest rows but those left out, ties by id.

        Pages are cut from one ranking: it begins with the first page as that was answered, and
        goes on with what wider searches find beside it. So no row comes twice, and one that the
        first page has missed comes on a later one.
        """
        ranking: dict[int, Match] = {}
        with one_thread():
            for wanted in self._widths(options):
                found = _widened(options, wanted - options.k + len(left_out))
                plan, matches = self._search(query, found, trace)
                for match in matches:
                    ranking.setdefault(match.id, match)
                if len(matches) < found.k:
                    break  # there are no more
        page = [match for match in ranking.values() if match.id not in left_out]
        return plan, page[options.offset : options.offset + options.k]

    def _widths(self, options: SearchOptions) -> Iterator[int]:
        """Yield how many results the searches of a page ask for: the first page, then wider."""
        last = options.offset + options.k
        if not options.offset or options.is_exact(self._store.load(or_last=True)):
            yield last
            return
        yield min(options.k, options.offset)
        width = _WIDTH
        while width < last:
            yield width
            width *= _WIDTH_GROWTH
        yield min(width, MAX_K)

    def _search(
        self, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> tuple[str, list[Match]]:
        with trace.step("load the index"):
            # A filtered search asks the codes before the statement that tests their generation.
            index = None if options.exact else self._store.load(or_last=self._where is None)
        planned = None
        if index is not None and not options.is_exact(index):
            planned = self._planned(index, query, options, trace)
        if index is not None and planned is not None:
            matches = self._search_index(index, query, planned, trace)
            if matches is not None:
                plan = "codes" if index.n_cells == 1 else "cells and codes"
                return plan, _above(matches, options)
        plan = "exact" if self._where is None else "filter first"
        return plan, _above(self._search_exactly(query, options, trace), options)

    # Through the index.

    def _planned(
        self, index: Index, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> SearchOptions | None:
        """Say how many cells a filtered search probes; None where filtering first is quicker."""
        if self._where is None:
            return options
        usual = Probing(options.n_probes or index.plan.n_probes, options.rescored(index))
        with trace.step("estimate how many pass"):
            probing = plan_probing(self._store, index, self._where, query, usual)
        if probing is None:
            return None
        return replace(options, n_probes=probing.n_probes, oversampling=probing.rows / options.k)

    def _search_index(
        self, index: Index, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> list[Match] | None:
        """Probe more cells until k rows are found; None where all cells hold fewer.

        Where other programs have deleted rows, their codes fill the shortlist: then more is asked
        for as well, until enough of it is alive.
        """
        n_probes, wanted = options.n_probes, options.rescored(index)
        rescored = wanted
        while True:
            rows = self._probe(index, query, n_probes, rescored, trace)
            # Another generation holds, its tables are gone, or the statement is too large.
            if rows is None:
                self._store.forget_loaded()
                new = self._store.load()
                if new is None or options.is_exact(new) or new.fingerprint == index.fingerprint:
                    return None
                index, n_probes = new, options.n_probes
                rescored = wanted = options.rescored(index)
                continue
            alive = [row for row in rows if row[2] is not None]
            with trace.step("rank exactly") as touched:
                matches = self._rank(query, alive, options.k)
                touched.rows = len(alive)
            coded = sum(row[3] for row in rows)
            if self._where is not None and coded < rescored:
                return None  # few pass near the query, and nearer ones may be in other cells
            dead = len(rows) - len(alive)
            is_enough = not dead or coded - dead >= _ENOUGH_ALIVE * wanted
            if len(matches) == options.k and is_enough:
                return matches
            probed = n_probes or index.plan.n_probes
            if (probed >= index.n_cells and coded < rescored) or rescored > MAX_RESCORED:
                return None
            n_probes, rescored = 4 * probed, 4 * rescored

    def _probe(
        self, index: Index, query: FloatArray, n_probes: int | None, rows: int, trace: Trace
    ) -> list[Row] | None:
        with trace.step("choose cells, round the query"):
            shortlist = index.shortlist(query, n_probes=n_probes, rows=rows)
            statement = self._dialect.search_codes(self._table, shortlist, self._where)
        n = len(shortlist.probes)
        with trace.step(f"search {n} {'cell' if n == 1 else 'cells'}", statement) as touched:
            try:
                found = self._connection.query(statement)
            except DatabaseError as error:
                if error.code not in (NO_SUCH_TABLE, PACKET_TOO_LARGE):
                    raise
                return None
            touched.rows = len(found)
        return found or None

    def _codes(self, index: Index, query: FloatArray, options: SearchOptions) -> Statement:
        rows = options.rescored(index)
        shortlist = index.shortlist(query, n_probes=options.n_probes, rows=rows)
        return self._dialect.search_codes(self._table, shortlist, self._where)

    def _rank(self, query: FloatArray, rows: list[Row], k: int) -> list[Match]:
        names = {row[0]: row[1] for row in rows}
        ids = ids_array(row[0] for row in rows)
        scores = similarity(query, unpack([row[2] for row in rows], query.size), self._metric)
        ids, first = np.unique(ids, return_index=True)  # the tail may repeat the shortlist
        ids, scores = _best(ids, scores[first], k)
        return _matches(ids, scores, names)

    # Without it.

    def _exact(self, query: FloatArray, options: SearchOptions) -> Statement:
        if self._dialect.has_nearest:
            return self._dialect.nearest(
                self._table,
                self._metric,
                pack(query),
                options.k,
                options.floor,
                self._where,
            )
        return self._dialect.all_rows(self._table, self._where)

    def _search_exactly(
        self, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> list[Match]:
        """The server ranks where it can; otherwise all embeddings are streamed and ranked here."""
        statement = self._exact(query, options)
        if self._dialect.has_nearest:
            with trace.step("rank on the server", statement) as touched:
                rows = self._connection.query(statement)
                touched.rows = len(rows)
            found = [
                Match(i, name or "", _clamp(s, self._metric))
                for i, name, s in rows
                if s is not None
            ]
            return sorted(found, key=lambda match: (-match.similarity, match.id))
        what = "every embedding" if self._where is None else "all that pass"
        with trace.step(f"rank {what}", statement) as touched:
            matches, touched.rows = self._scan(statement, query, options.k)
        return matches

    def _scan(self, statement: Statement, query: FloatArray, k: int) -> tuple[list[Match], int]:
        """Return the best rows, best first, and how many there were."""
        ids, scores, seen = np.empty(0, np.int64), np.empty(0, np.float64), 0
        names: dict[int, str | None] = {}
        for rows in self._connection.stream(statement, batch=_SCAN_BATCH):
            embeddings = unpack([row[1] for row in rows], query.size)
            ids = np.concatenate([ids, ids_array(row[0] for row in rows)])
            scores = np.concatenate([scores, similarity(query, embeddings, self._metric)])
            ids, scores = _best(ids, scores, k)
            names |= {row[0]: row[2] for row in rows}
            names = {row_id: names[row_id] for row_id in ids.tolist()}
            seen += len(rows)
        return _matches(ids, scores, names), seen


def _widened(options: SearchOptions, more: int) -> SearchOptions:
    """Ask for so many more, from the first on."""
    return replace(options, k=options.k + more, offset=0)


def _best(
    ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The k best, ties by id; an all-zero row has no cosine and is left out."""
    known = ~np.isnan(scores)
    ids, scores = ids[known], scores[known]
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]


def _matches(
    ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], names: dict[int, str | None]
) -> list[Match]:
    return [
        Match(row_id, names[row_id] or "", score)
        for row_id, score in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def _above(matches: list[Match], options: SearchOptions) -> list[Match]:
    least = options.floor
    return matches if least is None else [m for m in matches if m.similarity >= least]


def _clamp(score: float, metric: Metric) -> float:
    return max(-1.0, min(1.0, score)) if metric == "cosine" else float(score)
