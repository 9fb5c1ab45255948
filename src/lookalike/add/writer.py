"""Write contents as rows: each batch, with codes, files and failures, in one transaction."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from lookalike.add.content import Content, NewFile, Touched
from lookalike.add.moves import move_rows
from lookalike.core.remote import located
from lookalike.core.types import Failure
from lookalike.core.vectors import FloatArray, pack
from lookalike.database.connection import Row
from lookalike.database.leases import settle
from lookalike.database.retry import Persistence
from lookalike.dialects import FailedFile, Statement, Table
from lookalike.index.rows import insert_rows
from lookalike.index.store import IndexStore

T = TypeVar("T")

MAX_ROWS, MAX_BYTES = 500, 8_000_000
"""Limits of one transaction."""

TAIL_ROWS = 5000
"""Move the index's tail after this many new rows, so that searches stay fast meanwhile."""


@dataclass
class Batch:
    """Contents and file records to write in one transaction."""

    contents: list[Content] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    failed: list[FailedFile] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)
    unreadable: list[Failure] = field(default_factory=list)
    unchanged: int = 0


@dataclass
class Tally:
    """Committed files, counted by kind."""

    files: Counter[str] = field(default_factory=Counter)
    failed: list[Failure] = field(default_factory=list)
    failed_before: list[Failure] = field(default_factory=list)

    @property
    def stored(self) -> int:
        """Return how many rows were written."""
        return sum(self.files[kind] for kind in ("added", "reused", "updated"))

    @property
    def seen(self) -> int:
        """Return how many files and unreadable folders are done."""
        return self.files.total() + len(self.failed) + len(self.failed_before)

    def count(self, kinds: Counter[str], batch: "Batch") -> None:
        """Count a committed batch; kinds: its rows by kind, such as added."""
        self.files += kinds
        self.files["unchanged"] += len(batch.touched) + batch.unchanged
        self.failed += batch.unreadable
        self.failed += [Failure(located(file.path), file.reason) for file in batch.failed]
        self.failed_before += batch.failed_before


@dataclass
class _Row:
    """A file to store with its image's embedding, shape (dim,)."""

    new: NewFile
    embedding: FloatArray
    is_reused: bool

    @property
    def path(self) -> str:
        return str(self.new.file.path)


@dataclass
class _Plan:
    """Rows by what to do with them; `same` are already stored, with their ids."""

    fresh: list[_Row] = field(default_factory=list)
    changed: list[tuple[int, _Row]] = field(default_factory=list)
    same: list[tuple[int, _Row]] = field(default_factory=list)


class Writer:
    """Writes batches into one collection; retries after lost connections and held locks."""

    def __init__(self, index: IndexStore, persistence: Persistence, tally: Tally) -> None:
        self._index = index
        self._table = index.table
        self._connection, self._dialect = self._table.connection, self._table.dialect
        self._persistence = persistence
        self._kinds: dict[str, str] = {}
        self._above_tail: list[int] = []
        self._tally = tally

    def write(self, batch: Batch) -> None:
        """Commit a batch; if many files share their bytes, in several transactions."""
        rows = [
            _Row(new, content.embedding, content.is_reused or position > 0)
            for content in batch.contents
            if content.embedding is not None
            for position, new in enumerate(content.files)
        ]
        # All processes use one order, so that two with the same files do not deadlock. Moved files
        # come first and together, because other files may take or swap their paths.
        rows.sort(key=lambda row: (row.new.origin is None, row.path))
        size = max(1, min(MAX_ROWS, MAX_BYTES // (4 * self._table.dim)))
        first = max(size, sum(row.new.origin is not None for row in rows))
        self._write(rows[:first], batch)
        for start in range(first, len(rows), size):
            self._write(rows[start : start + size], Batch())

    def _write(self, rows: Sequence[_Row], batch: Batch) -> None:
        self._kinds = {}
        if rows or batch.touched or batch.failed:
            self._above_tail += self._persistence.run(lambda: self._commit(rows, batch))
        self._tally.count(Counter(self._kinds.values()), batch)
        if len(self._above_tail) >= TAIL_ROWS:
            self.advance_tail()

    def advance_tail(self) -> None:
        """Index the rows that were written."""
        self._persistence.run(lambda: self._index.advance_tail(self._above_tail))
        self._above_tail = []

    def _commit(self, rows: Sequence[_Row], batch: Batch) -> list[int]:
        ids: list[int] = []
        settle(self._table)
        with self._connection.transaction():
            self._index.hold()
            moved = move_rows(self._table, [row.new for row in rows])
            plan = self._plan([row for row in rows if row.path not in moved])
            if plan.fresh:
                embeddings = np.stack([row.embedding for row in plan.fresh])
                ids = insert_rows(self._index, [row.new.name for row in plan.fresh], embeddings)
                files = [(i, row.new.file) for i, row in zip(ids, plan.fresh, strict=True)]
                self._execute(files, self._dialect.insert_files)
            if plan.changed:
                self._replace(plan.changed)
            touched = [Touched(row_id, row.new.file) for row_id, row in plan.same]
            for row_id, file in (*batch.touched, *touched):
                self._connection.execute(self._dialect.touch_file(self._table, row_id, file))
            self._write_failures(rows, batch)
            self._name_kinds(plan, moved)
        return ids

    def _plan(self, rows: Sequence[_Row]) -> _Plan:
        """Compare with the rows stored now: other processes may work on the same files."""
        known: dict[str, Row] = {}
        if rows:
            paths = [row.path for row in rows]
            found = self._connection.query_parts(
                paths, lambda part: self._dialect.known_files(self._table, part)
            )
            known = {row[0]: row[1:] for row in found}
        plan = _Plan()
        for row in rows:
            stored = known.get(row.path)
            if stored is None:
                plan.fresh.append(row)
            elif stored[1] == row.new.file.content_hash:
                plan.same.append((stored[0], row))
            else:
                plan.changed.append((stored[0], row))
        return plan

    def _replace(self, changed: Sequence[tuple[int, _Row]]) -> None:
        """Replace embeddings of rows, except rows that were deleted meanwhile."""
        locked = self._dialect.lock_rows(self._table, [row_id for row_id, _ in changed])
        there = {row[0] for row in self._connection.query(locked)}
        changed = [(row_id, row) for row_id, row in changed if row_id in there]
        if not changed:
            return
        ids = [row_id for row_id, _ in changed]
        self._index.remove(ids)
        for row_id, row in changed:
            packed = pack(row.embedding)
            update = self._dialect.update_embedding(self._table, row_id, packed)
            self._connection.execute(update)
            self._connection.execute(self._dialect.update_file(self._table, row_id, row.new.file))
        self._index.insert(ids, np.stack([row.embedding for _, row in changed]))

    def _write_failures(self, rows: Sequence[_Row], batch: Batch) -> None:
        mended = [row.path for row in rows if row.new.has_failed]
        if mended:
            self._execute(mended, self._dialect.delete_failures)
        if batch.failed:
            self._execute(batch.failed, self._dialect.insert_failures)

    def _execute(
        self, items: Sequence[T], statement: Callable[[Table, Sequence[T]], Statement]
    ) -> None:
        self._connection.execute_parts(items, lambda part: statement(self._table, part))

    def _name_kinds(self, plan: _Plan, moved: set[str]) -> None:
        """Note each file's kind, for counting once this attempt is committed.

        If the connection was lost during a commit, an earlier attempt may have succeeded; its kinds
        are kept.
        """
        kinds = self._kinds
        kinds |= dict.fromkeys(moved, "moved")
        kinds |= {row.path: "reused" if row.is_reused else "added" for row in plan.fresh}
        kinds |= {row.path: "updated" for _, row in plan.changed}
        for _, row in plan.same:
            kinds.setdefault(row.path, "unchanged")
