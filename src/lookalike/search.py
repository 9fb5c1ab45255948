"""The nearest stored embeddings of a query embedding: planned, run, explained."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import ceil, isnan, sqrt
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from lookalike.blas import one_thread
from lookalike.connection import Row
from lookalike.dialects import Filter, Statement
from lookalike.errors import DatabaseError, InputError
from lookalike.filters import Where
from lookalike.index import Index
from lookalike.index_store import NO_SUCH_TABLE, IndexStore
from lookalike.selectivity import Probing, plan_probing
from lookalike.types import Match, Metric, Step
from lookalike.vectors import FloatArray, pack, similarity, unpack

MAX_K = 10_000
_SCAN_BATCH = 4096
_LEAST_RESCORED = 50
_OVERSAMPLING = 3.0
_DIM_OF_LEAST = 512
_WORDS_PROBES, _WORDS_OVERSAMPLING = 4, 20.0


class SearchKeywords(TypedDict, total=False):
    """The fields of SearchOptions, as keyword arguments."""

    k: int
    offset: int
    where: Where | None
    min_similarity: float | None
    min_match: float | None
    exclude_self: bool | None
    allow_private_urls: bool
    exact: bool
    n_probes: int | None
    oversampling: float | None


@dataclass(frozen=True)
class SearchOptions:
    """How to search.

    k: how many results. offset: how many to pass over, for the next page.
    where: conditions on attributes, as {"brand": "acme", "price": ("<", 50)} or ["price<50"];
    rows that pass all of them alone are searched.
    min_similarity: leave out what is less similar; for cosine from -1 to 1. min_match: the same
    by the level of `Match.match`, from 0 to 100.
    exclude_self: leave out stored images that are part of the query, and files with the bytes of
    an image that is; None leaves out those that are named as stored images, by id or name.
    allow_private_urls: take URLs of this machine and of private networks.
    exact: compare every embedding, instead of those that the index finds. n_probes: how many of
    the index's cells to read; by default as many as training has found to be needed.
    oversampling: compare the k * oversampling best estimates exactly; by default 3 times k, and
    50 at the least, of 512 dims or more.
    """

    k: int = 10
    offset: int = 0
    where: Where | None = None
    min_similarity: float | None = None
    min_match: float | None = None
    exclude_self: bool | None = None
    allow_private_urls: bool = False
    exact: bool = False
    n_probes: int | None = None
    oversampling: float | None = None

    def check(self, metric: Metric) -> None:
        """Raise InputError for what cannot be honoured."""
        if not 1 <= self.k <= MAX_K:
            raise InputError(f"k is {self.k}; ask for 1 to {MAX_K:,} results")
        if not 0 <= self.offset <= MAX_K - self.k:
            raise InputError(f"offset is {self.offset}; with k it may come to {MAX_K:,}")
        if self.min_match is not None and not 0 <= self.min_match <= 100:
            raise InputError(f"min_match is {self.min_match}; it is a percentage, from 0 to 100")
        least = self.min_similarity
        if least is not None:
            _check_similarity(least, metric)
        if self.n_probes is not None and self.n_probes < 1:
            raise InputError(f"n_probes is {self.n_probes}; read at least 1 cell")
        if self.oversampling is not None and not 1 <= self.oversampling <= 1000:
            raise InputError(f"oversampling is {self.oversampling}; give 1 to 1000")

    def for_words(self, index: Index | None) -> "SearchOptions":
        """Look further, where nothing else is asked for.

        Words lie apart from the images that the index was measured on, and the images nearest to
        them in more of its cells.
        """
        return replace(
            self,
            n_probes=self.n_probes or (_WORDS_PROBES * index.n_probes if index else None),
            oversampling=self.oversampling or _WORDS_OVERSAMPLING,
        )

    def rescored(self, dim: int) -> int:
        """How many rows are compared exactly; the estimate's error is about 1 / sqrt(dim)."""
        if self.oversampling is not None:
            return ceil(self.oversampling * self.k)
        rows = max(_LEAST_RESCORED, _OVERSAMPLING * self.k)
        return ceil(rows * max(1.0, sqrt(_DIM_OF_LEAST / dim)))


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
        self._connection = store.connection
        self._dialect = store.dialect
        self._table = store.table
        self._metric = store.metric

    def plan(
        self,
        query: FloatArray,
        options: SearchOptions,
        *,
        left_out: frozenset[int] = frozenset(),
    ) -> Statement:
        """Return the statement that `search` runs first, and nearly always alone."""
        options = _widened(options, left_out)
        index = None if options.exact else self._store.load()
        planned = None if index is None else self._planned(index, query, options, Trace())
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
        """Return the name of the plan, and the nearest rows but those left out, ties by id."""
        with one_thread():
            plan, matches = self._search(query, _widened(options, left_out), trace)
        page = [match for match in matches if match.id not in left_out]
        return plan, page[options.offset : options.offset + options.k]

    def _search(
        self, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> tuple[str, list[Match]]:
        with trace.step("load the index"):
            # A filtered search asks the codes before the statement that tests their generation.
            index = None if options.exact else self._store.load(or_last=self._where is None)
        planned = None if index is None else self._planned(index, query, options, trace)
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
        usual = Probing(options.n_probes or index.n_probes, options.rescored(index.dim))
        with trace.step("estimate how many pass"):
            probing = plan_probing(self._store, index, self._where, query, usual)
        if probing is None:
            return None
        return replace(options, n_probes=probing.n_probes, oversampling=probing.rows / options.k)

    def _search_index(
        self, index: Index, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> list[Match] | None:
        """Probe more cells until k rows are found; None where all cells hold fewer."""
        n_probes, rescored = options.n_probes, options.rescored(index.dim)
        while True:
            rows = self._probe(index, query, n_probes, rescored, trace)
            if rows is None:  # a new generation holds, or its tables are gone
                self._store.forget_loaded()
                new = self._store.load()
                if new is None or new.generation == index.generation:
                    return None
                index, n_probes = new, options.n_probes
                continue
            with trace.step("rank exactly") as touched:
                matches = self._rank(query, rows, options.k)
                touched.rows = len(rows)
            if self._where is not None and len(rows) < rescored:
                return None  # few pass near the query, and nearer ones may be in other cells
            if len(matches) == options.k:
                return matches
            probed = n_probes or index.n_probes
            if probed >= index.n_cells and len(rows) < rescored:
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
                if error.code != NO_SUCH_TABLE:
                    raise
                return None
            touched.rows = len(found)
        return found or None

    def _codes(self, index: Index, query: FloatArray, options: SearchOptions) -> Statement:
        rows = options.rescored(index.dim)
        shortlist = index.shortlist(query, n_probes=options.n_probes, rows=rows)
        return self._dialect.search_codes(self._table, shortlist, self._where)

    def _rank(self, query: FloatArray, rows: list[Row], k: int) -> list[Match]:
        names = {row[0]: row[1] for row in rows}
        ids = np.array([row[0] for row in rows], np.int64)
        scores = similarity(query, unpack([row[2] for row in rows], query.size), self._metric)
        ids, first = np.unique(ids, return_index=True)  # the tail may repeat the shortlist
        ids, scores = _best(ids, scores[first], k)
        return _matches(ids, scores, names)

    # Without it.

    def _exact(self, query: FloatArray, options: SearchOptions) -> Statement:
        if self._dialect.has_distance:
            return self._dialect.nearest(
                self._table,
                self._metric,
                pack(query),
                options.k,
                options.min_similarity,
                self._where,
            )
        return self._dialect.all_embeddings(self._table, self._where)

    def _search_exactly(
        self, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> list[Match]:
        """The server ranks where it can; otherwise all embeddings are streamed and ranked here."""
        statement = self._exact(query, options)
        if self._dialect.has_distance:
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
            ids, scores, touched.rows = self._scan(statement, query, options.k)
        if not ids.size:
            return []
        names: dict[int, str | None] = dict(
            self._connection.query(self._dialect.records(self._table, ids.tolist()))
        )
        return _matches(ids, scores, names)

    def _scan(
        self, statement: Statement, query: FloatArray, k: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], int]:
        """Return the best ids and similarities, best first, and how many rows there were."""
        ids, scores, seen = np.empty(0, np.int64), np.empty(0, np.float64), 0
        for rows in self._connection.stream(statement, batch=_SCAN_BATCH):
            embeddings = unpack([row[1] for row in rows], query.size)
            ids = np.concatenate([ids, np.array([row[0] for row in rows], np.int64)])
            scores = np.concatenate([scores, similarity(query, embeddings, self._metric)])
            ids, scores = _best(ids, scores, k)
            seen += len(rows)
        return ids, scores, seen


def _widened(options: SearchOptions, left_out: frozenset[int]) -> SearchOptions:
    """Ask for what is passed over and left out as well."""
    return replace(options, k=options.k + options.offset + len(left_out), offset=0)


def _check_similarity(least: float, metric: Metric) -> None:
    if metric == "cosine" and not -1 <= least <= 1:
        raise InputError(f"min_similarity is {least}; a cosine is from -1 to 1")
    if metric == "euclidean" and not least <= 0:
        raise InputError(
            f"min_similarity is {least}; for the metric euclidean a similarity is the distance "
            "with a minus, 0 at the most"
        )
    if isnan(least):
        raise InputError("min_similarity is nan; give a number")


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
        if row_id in names  # unless deleted since
    ]


def _above(matches: list[Match], options: SearchOptions) -> list[Match]:
    least = options.min_similarity
    return matches if least is None else [m for m in matches if m.similarity >= least]


def _clamp(score: float, metric: Metric) -> float:
    return max(-1.0, min(1.0, score)) if metric == "cosine" else float(score)
