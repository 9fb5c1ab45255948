"""Search by an index that is held in memory, as fresh as the table.

The candidates are chosen in memory. One statement then reads them, the rows without codes, the
version of the codes and, while others write, the rows that have changed since the copy's version,
all in one snapshot. Everything is compared exactly. The changed rows are then applied to the copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from lookalike.core.remote import located
from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, ids_array, similarity, unpack
from lookalike.database.errors import MissingTable, TooLarge
from lookalike.database.table import VectorTable
from lookalike.dialects import About, ComparedRow, Filter, Version
from lookalike.index.holding import HeldIndex
from lookalike.index.ivf import Ids
from lookalike.index.loading import MAX_TAIL
from lookalike.index.memory import Chosen, MemoryIndex
from lookalike.search.options import SearchOptions
from lookalike.search.ranking import Found, is_settled
from lookalike.search.trace import Trace

MAX_CHANGED = 1000
"""With more changed rows, SQL searches until they are applied."""

MAX_ROWS = 10_000
"""With more rows to compare, the server's part is small: SQL searches."""

_FIRST, _MARGIN = 2, 1.3
"""A filtered search first tests so many times the wanted rows; then so many times what it needs."""

_MAX_MATCHING = 20_000
"""If more rows pass a filter, and few of them near the query, SQL searches."""

_MORE = 4
"""Where one of the k best has changed, read so many times k rows with their embeddings."""


@dataclass(frozen=True)
class HeldSearch:
    """Searches one table through a held index. where: filter of rows."""

    table: VectorTable
    held: HeldIndex
    where: Filter | None = None

    def search(self, query: FloatArray, options: SearchOptions, trace: Trace) -> Found | None:
        """Return the k nearest rows; None where SQL has to search."""
        memory = self._memory()
        if memory is None or options.is_exact(memory.index):
            return None
        if self.where is not None:
            return self._filtered(memory, query, options, trace)
        n_probes, rows, k = options.n_probes, options.rescored(memory.index), options.k
        while rows <= MAX_ROWS:
            version = memory.version  # before the candidates: the log tells what changes later
            with trace.step("choose candidates in memory") as touched:
                chosen = memory.chosen(query[np.newaxis], n_probes=n_probes, rows=rows, k=k)
                coded = touched.rows = int(chosen.coded[0])
            if k > options.k:
                chosen = chosen._replace(checksums=None)
            ids = chosen.ids[0][chosen.ids[0] >= 0]
            read = self._compared(memory, version, ids, trace, chosen.checksums is not None)
            if read is None:
                return None
            with trace.step("rank exactly") as touched:
                ranked = _rank(query, options.k, read, chosen, self.table)
                touched.rows = len(read)
            if ranked.is_different:
                k = _MORE * k
                continue
            alive = coded - ranked.missing
            if is_settled(options, memory.index, len(ranked.matches), coded, alive):
                return Found(_plan(memory), ranked.matches, self.table.has_files)
            probed = n_probes or memory.index.plan.n_probes
            if probed >= memory.index.n_cells and coded < rows:
                return None
            n_probes, rows = 4 * probed, 4 * rows
        return None

    def _filtered(
        self, memory: MemoryIndex, query: FloatArray, options: SearchOptions, trace: Trace
    ) -> Found | None:
        """Test candidates until enough of them pass; where few do, search among all that pass.

        How many pass near the query is known from the first candidates.
        """
        wanted = options.rescored(memory.index)
        rows, plan = _FIRST * wanted, f"{_plan(memory)}, then the filter"
        if rows > MAX_ROWS:
            return None
        ids: Ids | None = None
        while True:
            version = memory.version
            with trace.step("choose candidates in memory") as touched:
                if ids is None:
                    found = memory.candidates(
                        query[np.newaxis], n_probes=options.n_probes, rows=rows
                    ).ids[0]
                    candidates = found[found >= 0]
                elif len(ids) > wanted:
                    candidates = memory.among(query, ids, rows=wanted)
                else:
                    candidates = ids
                touched.rows = len(candidates)
            read = self._compared(memory, version, candidates, trace, checksums=False)
            if read is None:
                return None
            passing = sum(row.about == About.CANDIDATE for row in read)
            if ids is not None or passing >= wanted:
                break
            rows = ceil(_MARGIN * wanted * rows / max(passing, 0.5))
            if rows > min(MAX_ROWS, len(memory)):
                if (ids := self._matching(trace)) is None:
                    return None
                plan = f"filter first, {_plan(memory)}"
        with trace.step("rank exactly") as touched:
            matches = _rank(query, options.k, read, None, self.table).matches
            touched.rows = len(read)
        is_all = ids is not None and len(ids) <= len(matches)
        if len(matches) < options.k and not is_all:
            return None
        return Found(plan, matches, self.table.has_files)

    def _matching(self, trace: Trace) -> Ids | None:
        """Return the ids of all rows that pass the filter; None if they are many."""
        assert self.where is not None
        statement = self.table.dialect.matching_ids(self.table, self.where, _MAX_MATCHING + 1)
        with trace.step("read the ids that pass", statement) as touched:
            rows = self.table.connection.query(statement)
            touched.rows = len(rows)
        return ids_array(row[0] for row in rows) if len(rows) <= _MAX_MATCHING else None

    def fresh(self) -> tuple[MemoryIndex, Ids] | None:
        """Return the copy at the newest version, and the ids of the rows without codes.

        None where SQL has to search.
        """
        memory = self._memory()
        if memory is None:
            return None
        nothing = np.empty(0, np.int64)
        rows = self._compared(memory, memory.version, nothing, Trace(), checksums=False)
        if rows is None or self._memory() is not memory:
            return None
        return memory, ids_array(row.id or 0 for row in rows if row.about == About.TAIL)

    def _memory(self) -> MemoryIndex | None:
        # A transaction or session may see rows of its own.
        return None if self.table.connection.is_held else self.held.memory()

    def _compared(
        self,
        memory: MemoryIndex,
        version: Version | None,
        ids: Ids,
        trace: Trace,
        checksums: bool,
    ) -> list[ComparedRow] | None:
        """Return the rows to compare; None where the copy is not fresh enough.

        version: the copy's, before the ids were chosen. While others write, the first statement
        asks for the changes too; otherwise a second one does where there are any.
        """
        asks = version is not None and memory.is_changing
        while version is not None:
            rows = self._query(ids, version if asks else None, trace, checksums=checksums)
            if not rows:
                return None
            new = _version(rows[0])
            memory.is_changing = new != version
            if new == version or asks:
                is_fresh = new == version or self._applies(memory, version, new, rows)
                is_fresh = is_fresh and sum(row.about == About.TAIL for row in rows) <= MAX_TAIL
                return [row for row in rows if row.about in _RANKED] if is_fresh else None
            asks = True
        return None

    def _query(
        self, ids: Ids, changed_since: Version | None, trace: Trace, *, checksums: bool
    ) -> list[ComparedRow]:
        statement = self.table.dialect.candidates(
            self.table,
            ids.tolist(),
            self.where,
            changed_since=changed_since,
            with_paths=self.table.has_files,
            checksums=checksums,
            max_tail=MAX_TAIL,
            max_changed=MAX_CHANGED,
        )
        what = "read them" if changed_since is None else "read them, and what has changed"
        with trace.step(what, statement) as touched:
            try:
                rows = [ComparedRow(*row) for row in self.table.connection.query(statement)]
            except (MissingTable, TooLarge):
                return []
            touched.rows = len(rows)
        return rows

    def _applies(
        self, memory: MemoryIndex, version: Version, new: Version, rows: Sequence[ComparedRow]
    ) -> bool:
        """Apply the changed rows to the copy; return whether the rows tell all changes."""
        if new.origin == version.origin and new.version < version.version:
            return False  # a replica that lags
        abouts = {row.about for row in rows}
        if About.KNOWN not in abouts or About.UNKNOWN in abouts:
            self.held.outdated(memory)
            return False
        changed = [row for row in rows if row.about in (About.CHANGED, About.HIDDEN)]
        if len(changed) > MAX_CHANGED:
            self.held.behind(memory)
            return False
        packed = {int(row.id or 0): row.value for row in changed}
        codable = self.table.indexable([row for row in packed.items() if row[1] is not None])
        if not memory.apply(ids_array(packed), *codable, new):
            self.held.outdated(memory)
        return True


_RANKED = (About.CANDIDATE, About.TAIL, About.CHANGED)


def _version(row: ComparedRow) -> Version:
    return Version(*map(int, str(row.version).split()))


def _plan(memory: MemoryIndex) -> str:
    return f"codes and {memory.precision} in memory" if memory.precision else "codes in memory"


class _Ranked(NamedTuple):
    """Results; missing: candidates without a row. is_different: an embedding in memory is not that
    of the table, so that all have to be read.
    """

    matches: list[Match]
    missing: int
    is_different: bool


def _rank(
    query: FloatArray,
    k: int,
    read: Sequence[ComparedRow],
    chosen: Chosen | None,
    table: VectorTable,
) -> _Ranked:
    """Rank candidates and other rows by their exact similarity. chosen: the candidates, if all of
    them have to exist.
    """
    # What has changed and the tail come last, with their embeddings.
    rows = {int(row.id or 0): row for row in sorted(read, key=lambda row: row.about)}
    wanted = [] if chosen is None else chosen.ids[0][chosen.ids[0] >= 0].tolist()
    scores: dict[int, float] = {}
    if chosen and chosen.checksums is not None and chosen.similarities is not None:
        columns = wanted, chosen.similarities[0].tolist(), chosen.checksums[0].tolist()
        for row_id, score, checksum in zip(*columns, strict=False):
            if _checksum(rows.get(row_id)) != checksum:
                return _Ranked([], 0, True)
            scores[row_id] = score
    packed = [
        (row_id, row.value)
        for row_id, row in rows.items()
        if row_id not in scores and row.value is not None
    ]
    if packed:
        embeddings = unpack([value for _, value in packed], table.dim)
        found = similarity(query, embeddings, table.metric)
        scores |= {
            row_id: score
            for (row_id, _), score in zip(packed, found.tolist(), strict=True)
            if score == score  # an all-zero embedding has none
        }
    best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))[:k]
    matches = [_match(rows[row_id], row_id, score) for row_id, score in best]
    return _Ranked(matches, sum(row_id not in rows for row_id in wanted), False)


def _checksum(row: ComparedRow | None) -> int | None:
    """Return the checksum of a candidate; None if there is none, or if its row has changed."""
    if row is None or row.about != About.CANDIDATE or row.value is None:
        return None
    return int(row.value)


def _match(row: ComparedRow, row_id: int, score: float) -> Match:
    return Match(row_id, row.image_name or "", score, path=located(row.path) if row.path else None)
