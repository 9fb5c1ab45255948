"""Make the rows of one collection those of another one, on another server.

Rows are compared in blocks of keys by digests that each server makes of its own; blocks that differ
are copied, each in one transaction with all that belongs to its rows. So a copy that was cut short
goes on where it was, and one whose source has changed meanwhile follows.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from lookalike.core.errors import ConnectionFailed, DatabaseError
from lookalike.core.progress import StepProgress
from lookalike.database.connection import Row
from lookalike.database.errors import Busy
from lookalike.database.own_tables import find_own_tables
from lookalike.database.retry import Persistence
from lookalike.database.table import VectorTable
from lookalike.dialects import PARTS, Part, Span

MAX_ROWS, MAX_BYTES = 1000, 4_000_000
"""Limits of one block."""


class Group(NamedTuple):
    """Tables that are copied together, by the keys of the first."""

    title: str
    suffixes: tuple[str, ...]


GROUPS = (
    Group("images", ("", "_files", "_facts")),
    Group("decisions", ("_distinct",)),
    Group("failures", ("_failures",)),
    Group("thumbnails", ("_phashes",)),
)


@dataclass(frozen=True)
class End:
    """One end of a copy: a collection's table, and those of `PARTS` that there are."""

    table: VectorTable
    parts: dict[str, Part]

    @classmethod
    def of(cls, table: VectorTable) -> "End":
        """Return the end as it is now."""
        connection, dialect = table.connection, table.dialect
        sides = find_own_tables(connection, dialect, table.name).sides
        there = ["", *(name[len(table.name) :] for name in sides)]
        parts = {suffix: PARTS[suffix] for suffix in there if suffix in PARTS}
        if "attributes" in dict(connection.query(dialect.table_columns(table))):
            own = parts[""]
            parts[""] = Part("", own.key, {**own.columns, "attributes": "json"}, own.verb)
        return cls(table, parts)

    def count(self, suffix: str) -> int:
        """Return the number of rows of a part."""
        part = self.parts.get(suffix)
        table = self.table
        return int(table.connection.value(table.dialect.count_part(table, part))) if part else 0

    def fingerprint(self, group: Group, span: Span) -> list[object]:
        """Return what is equal for equal rows of a span, on any server."""
        connection, dialect = self.table.connection, self.table.dialect
        found: list[object] = []
        for suffix in group.suffixes:
            if (part := self.parts.get(suffix)) is None:
                found.append((0, 0))
                continue
            ((rows, digest),) = connection.query(dialect.digest(self.table, part, span))
            found.append((int(rows), int(digest)))
            for column in part.json:
                texts = connection.query(dialect.json_of(self.table, part, column, span))
                found += [] if not texts else [_digest(texts)]
        return found

    def read(self, group: Group, span: Span) -> dict[str, list[Row]]:
        """Return the rows of a span, all as of one moment, by the table's suffix."""
        connection, dialect = self.table.connection, self.table.dialect
        with connection.transaction():
            return {
                suffix: connection.query(dialect.rows_of(self.table, self.parts[suffix], span))
                for suffix in group.suffixes
                if suffix in self.parts
            }


class _Block(NamedTuple):
    """A span of keys, how many rows of the source it has, and the rows if they are to be copied."""

    span: Span
    size: int
    rows: dict[str, list[Row]] | None


class Copier:
    """Compares the rows of two collections, and makes the target's equal.

    While a block is written, the next one is compared and read.
    """

    def __init__(
        self, source: End, target: End, persistence: Persistence, progress: StepProgress
    ) -> None:
        self._source = source
        self._target = target
        self._persistence = persistence
        self._progress = progress
        self._limit = max(1, min(MAX_ROWS, MAX_BYTES // (4 * source.table.dim)))

    def difference(self) -> str | None:
        """Return what differs, such as "images"; None if everything is equal."""
        for group in GROUPS:
            for block in self._blocks(group, "Comparing"):
                if block.rows is not None:
                    return group.title
        return None

    def copy(self, doing: str) -> Counter[str]:
        """Copy what differs; return how many rows of each group. doing: what progress is told."""
        copied = Counter[str]()
        for group in GROUPS:
            for block in self._blocks(group, doing):
                if block.rows is not None:
                    self._write(group, block.span, block.rows)
                    copied[group.title] += max(1, block.size)
        return copied

    def _blocks(self, group: Group, doing: str) -> Iterator[_Block]:
        """Yield blocks that cover all keys, and tell progress when each has been worked on."""
        total, done = self._source.count(group.suffixes[0]), 0
        last = self._last_key(group)
        with ThreadPoolExecutor(2) as workers:
            following = self._prepared(group, last, workers)
            coming = workers.submit(next, following, None)
            while (block := coming.result()) is not None:
                coming = workers.submit(next, following, None)
                yield block
                done += block.size
                self._progress(f"{doing} {group.title}", done, max(total, done))

    def _last_key(self, group: Group) -> Any:
        """Return the target's last key; None if it has no rows."""
        table, lead = self._target.table, self._target.parts.get(group.suffixes[0])
        return table.connection.value(table.dialect.last_key(table, lead)) if lead else None

    def _prepared(self, group: Group, last: Any, workers: ThreadPoolExecutor) -> Iterator[_Block]:
        """Yield the blocks, in a thread of their own."""
        for span, size in self._spans(group):
            is_new = last is None or (span.after is not None and span.after >= last)
            if (is_new and not size) or (not is_new and self._is_equal(group, span, workers)):
                yield _Block(span, size, None)
            else:
                yield _Block(
                    span, size, self._persistence.run(partial(self._source.read, group, span))
                )

    def _spans(self, group: Group) -> Iterator[tuple[Span, int]]:
        """Yield spans that cover all keys, each with the number of the source's rows."""
        table, lead = self._source.table, self._source.parts.get(group.suffixes[0])
        after, rows = None, 0
        while lead is not None:
            asked = table.dialect.next_keys(table, lead, after, self._limit)
            ((through, rows),) = self._persistence.run(partial(table.connection.query, asked))
            if rows < self._limit:
                break
            yield Span(after, through), rows
            after = through
        yield Span(after, None), rows

    def _is_equal(self, group: Group, span: Span, workers: ThreadPoolExecutor) -> bool:
        there = workers.submit(self._target.fingerprint, group, span)
        here = self._persistence.run(partial(self._source.fingerprint, group, span))
        return here == there.result()

    def _write(self, group: Group, span: Span, rows: dict[str, list[Row]]) -> None:
        """Make the target's rows of a span these, all or none."""
        table, parts = self._target.table, self._target.parts
        connection, dialect = table.connection, table.dialect
        try:
            with connection.transaction():
                for suffix in reversed(group.suffixes):
                    if suffix in parts:
                        kept = [] if suffix else [row[0] for row in rows[suffix]]
                        connection.execute(dialect.delete_span(table, parts[suffix], span, kept))
                for suffix in group.suffixes:
                    if suffix in rows:
                        self._store(parts[suffix], rows[suffix])
        except (ConnectionFailed, Busy):
            raise
        except DatabaseError as error:
            raise DatabaseError(
                f"{connection.url} cannot hold some {group.title} of {table.name!r}: {error}",
                code=error.code,
            ) from error

    def _store(self, part: Part, rows: Sequence[Row]) -> None:
        table = self._target.table
        # Arrays are written in hexadecimal digits, which is faster.
        vectors = [place for place, kind in enumerate(part.columns.values()) if kind == "embedding"]
        bound = [list(row) for row in rows]
        for row in bound if vectors else ():
            for place in vectors:
                row[place] = None if row[place] is None else np.frombuffer(row[place], "<f4")
        table.connection.execute_parts(
            bound, lambda some: table.dialect.store_rows(table, part, some)
        )


def _digest(texts: Sequence[Row]) -> str:
    """Return a digest of (key, JSON) rows that does not depend on how the JSON is written."""
    digest = hashlib.sha256()
    for key, text in texts:
        value = json.loads(text, parse_int=_number)
        digest.update(f"{key!r} {json.dumps(value, sort_keys=True)}\n".encode())
    return digest.hexdigest()


def _number(text: str) -> int | float:
    """Return a whole number as engines store it: beyond 64 bits as a floating-point number."""
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(text)
