"""Search through the index: choose cells, estimate from codes, compare the best exactly."""

from collections.abc import Sequence
from dataclasses import replace

from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray
from lookalike.database.connection import Row
from lookalike.database.errors import MissingTable, TooLarge
from lookalike.dialects import Filter, Shortlist, Statement
from lookalike.index.ivf import Index
from lookalike.index.store import IndexStore
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.ranking import above, is_settled, rank
from lookalike.search.selectivity import Probing, plan_probing
from lookalike.search.trace import Trace

MAX_RESCORED = 50_000
"""Above this many rows, comparing all embeddings is faster."""

_AT_ONCE = 32
"""Queries per statement."""


class IndexedSearch:
    """Searches one table through its index; where: filter of rows."""

    def __init__(self, store: IndexStore, where: Filter | None) -> None:
        self._store = store
        self._table = store.table
        self._where = where

    def planned(
        self, index: Index, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> SearchOptions | None:
        """Return options with the cells to probe for the filter; None to filter first."""
        if self._where is None:
            return options
        usual = Probing(options.n_probes or index.plan.n_probes, options.rescored(index))
        with trace.step("estimate how many pass"):
            probing = plan_probing(self._store, index, self._where, query, usual)
        if probing is None:
            return None
        return replace(options, n_probes=probing.n_probes, oversampling=probing.rows / options.k)

    def search(
        self, index: Index, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> list[Match] | None:
        """Probe more cells until k rows are found; None if all cells hold fewer.

        Codes of rows that other programs deleted fill the shortlist: then ask for more, until
        enough rows of it exist.
        """
        n_probes, rescored = options.n_probes, options.rescored(index)
        while True:
            rows = self._probe(index, query, n_probes, rescored, trace)
            # There is a newer generation, its tables are gone, or the statement is too large.
            if rows is None:
                self._store.forget_loaded()
                new = self._store.load()
                if new is None or options.is_exact(new) or new.fingerprint == index.fingerprint:
                    return None
                index, n_probes = new, options.n_probes
                rescored = options.rescored(index)
                continue
            alive = [row for row in rows if row[2] is not None]
            with trace.step("rank exactly") as touched:
                matches = rank(query, alive, options.k, self._table.metric)
                touched.rows = len(alive)
            coded = sum(row[3] for row in rows)
            if self._where is not None and coded < rescored:
                return None  # few rows match near the query; nearer ones may be in other cells
            dead = len(rows) - len(alive)
            if is_settled(options, index, len(matches), coded, coded - dead):
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
            statement = self._table.dialect.search_codes(self._table, shortlist, self._where)
        n = len(shortlist.probes)
        with trace.step(f"search {n} {'cell' if n == 1 else 'cells'}", statement) as touched:
            try:
                found = self._table.connection.query(statement)
            except (MissingTable, TooLarge):
                return None
            touched.rows = len(found)
        return found or None

    def statement(self, index: Index, query: FloatArray, options: SearchOptions) -> Statement:
        """Return the statement that searches the codes."""
        rows = options.rescored(index)
        shortlist = index.shortlist(query, n_probes=options.n_probes, rows=rows)
        return self._table.dialect.search_codes(self._table, shortlist, self._where)

    def search_many(self, index: Index, many: Sequence[Asked]) -> list[list[Match] | None]:
        """Search for many queries at once; None for each query that must be searched alone."""
        found: list[list[Match] | None] = [None] * len(many)
        shortlists = [
            (number, index.shortlist(query, n_probes=o.n_probes, rows=o.rescored(index)))
            for number, (query, o, _) in enumerate(many)
        ]
        connection, dialect = self._table.connection, self._table.dialect

        def make(part: Sequence[tuple[int, Shortlist]]) -> Statement:
            return dialect.search_many_codes(self._table, [each for _, each in part])

        for start in range(0, len(shortlists), _AT_ONCE):
            for part in connection.parts(shortlists[start : start + _AT_ONCE], make):
                answers: dict[int, list[Row]] = {}
                for place, *row in self._ask(make(part)):
                    answers.setdefault(part[place][0], []).append(tuple(row))
                for number, rows in answers.items():
                    found[number] = self._settled(index, many[number], rows)
        return found

    def _ask(self, statement: Statement) -> Sequence[Row]:
        try:
            return self._table.connection.query(statement)
        except (MissingTable, TooLarge):
            return ()

    def _settled(self, index: Index, asked: Asked, rows: Sequence[Row]) -> list[Match] | None:
        """Return the results of the first statement; None if `search` would continue."""
        query, options, _ = asked
        alive = [row for row in rows if row[2] is not None]
        matches = rank(query, alive, options.k, self._table.metric)
        coded, dead = sum(row[3] for row in rows), len(rows) - len(alive)
        is_enough = is_settled(options, index, len(matches), coded, coded - dead)
        return above(matches, options) if is_enough else None
