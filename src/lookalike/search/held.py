"""Search by an index that is held in memory, as fresh as the table.

The candidates are chosen in memory. One statement then reads them, the rows without codes and the
rows that have changed since the copy was read, all in one snapshot, and everything is compared
exactly. The changed rows are then applied to the copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, ids_array
from lookalike.database.errors import MissingTable, TooLarge
from lookalike.database.table import VectorTable
from lookalike.dialects import CANDIDATE, CHANGED, TAIL, ComparedRow, CopyState, Filter, Version
from lookalike.index.holding import HeldIndex
from lookalike.index.ivf import Ids
from lookalike.index.loading import MAX_TAIL, is_current
from lookalike.index.memory import MemoryIndex
from lookalike.search.in_memory import KEPT
from lookalike.search.options import SearchOptions
from lookalike.search.ranking import is_settled, rank
from lookalike.search.trace import Trace

MAX_CHANGED = 1000
"""With more changed rows, SQL searches until they are applied."""

MAX_ROWS = 10_000
"""With more rows to compare, the server's part is small: SQL searches."""


@dataclass(frozen=True)
class HeldSearch:
    """Searches one table through a held index. where: filter of rows."""

    table: VectorTable
    held: HeldIndex
    where: Filter | None = None

    def search(
        self, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> tuple[str, list[Match]] | None:
        """Return the plan and the k nearest rows; None where SQL has to search."""
        memory = None if self.table.connection.is_held else self.held.memory()
        if memory is None or options.is_exact(memory.index):
            return None
        n_probes, rows = options.n_probes, options.rescored(memory.index)
        while rows <= MAX_ROWS:
            found = self._ask(memory, query, n_probes, rows, options.k, trace)
            if found is None:
                return None
            with trace.step("rank exactly") as touched:
                alive = [row[1:4] for row in found.compared if row.embedding is not None]
                matches = rank(query, alive, options.k, self.table.metric)
                touched.rows = len(alive)
            if is_settled(options, memory.index, len(matches), found.coded, found.alive):
                return self._plan(memory), matches
            probed = n_probes or memory.index.plan.n_probes
            if probed >= memory.index.n_cells and found.coded < rows:
                return None
            n_probes, rows = 4 * probed, 4 * rows
        return None

    def fresh(self) -> tuple[MemoryIndex, Ids] | None:
        """Return the copy at the newest version, and the ids of the rows without codes.

        None where SQL has to search.
        """
        memory = None if self.table.connection.is_held else self.held.memory()
        if memory is None:
            return None
        version = memory.version
        assert version is not None
        rows = self._compared(memory, version, [], Trace())
        if rows is None or self.held.memory() is not memory:
            return None
        return memory, ids_array(row.id for row in rows if row.about == TAIL)

    @staticmethod
    def _plan(memory: MemoryIndex) -> str:
        return f"codes and {memory.precision} in memory" if memory.precision else "codes in memory"

    def _ask(
        self,
        memory: MemoryIndex,
        query: FloatArray,
        n_probes: int | None,
        rows: int,
        k: int,
        trace: Trace,
    ) -> "_Found | None":
        version = memory.version  # before the candidates: what changes later is told by the log
        assert version is not None
        with trace.step("choose candidates in memory") as touched:
            keep = KEPT * k
            found = memory.chosen(query[None], n_probes=n_probes, rows=rows, keep=keep)
            ids = found.ids[0][found.ids[0] >= 0].tolist()
            coded = touched.rows = int(found.coded[0])
        asked = self._compared(memory, version, ids, trace)
        if asked is None:
            return None
        alive = sum(row.about == CANDIDATE for row in asked)
        return _Found(asked, coded, coded - (len(ids) - alive))

    def _compared(
        self, memory: MemoryIndex, version: Version, ids: Sequence[int], trace: Trace
    ) -> list[ComparedRow] | None:
        """Return the rows to compare; None where the copy is not fresh enough."""
        statement = self.table.dialect.candidates(
            self.table, version, ids, self.where, max_tail=MAX_TAIL, max_changed=MAX_CHANGED
        )
        with trace.step("read them, and what has changed", statement) as touched:
            try:
                rows = self.table.connection.query(statement)
            except (MissingTable, TooLarge):
                return None
            touched.rows = len(rows)
        states = [CopyState(*row[5:]) for row in rows if row[5] is not None]
        compared = [
            ComparedRow(row[0], int(row[1]), row[2], row[3], row[4], None)
            for row in rows
            if row[5] is None
        ]
        return compared if self._is_fresh(memory, version, states, compared) else None

    def _is_fresh(
        self,
        memory: MemoryIndex,
        version: Version,
        states: Sequence[CopyState],
        rows: Sequence[ComparedRow],
    ) -> bool:
        """Whether the rows are all that counts; applies those that have changed."""
        if not states or not is_current(memory, states[0]):
            # A replica that lags will know the version; nothing else will.
            if (
                not states
                or states[0].origin != version.origin
                or (states[0].version >= version.version)
            ):
                self.held.outdated(memory)
            return False
        changed = [row for row in rows if row.about == CHANGED]
        if len(changed) > MAX_CHANGED:
            self.held.behind(memory)
            return False
        if sum(row.about == TAIL for row in rows) > MAX_TAIL:
            return False
        if states[0].version > version.version:
            ids, embeddings = self.table.indexable(
                [(row.id, row.embedding) for row in changed if row.embedding is not None]
            )
            new = Version(*states[0][:3])
            if not memory.apply(ids_array(row.id for row in changed), ids, embeddings, new):
                self.held.outdated(memory)
        return True


class _Found(NamedTuple):
    """The rows to compare, how many candidates there were, and how many of them exist."""

    compared: list[ComparedRow]
    coded: int
    alive: int
