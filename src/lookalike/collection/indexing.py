"""Build, check and hold a collection's index on request; `add` maintains it automatically."""

from dataclasses import replace
from typing import cast

from lookalike.collection import scheduling, user_tables
from lookalike.collection.state import CollectionState
from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.reports import IndexReport, IndexStatus
from lookalike.core.sizes import check_bytes
from lookalike.core.types import IndexKind, Metric
from lookalike.database.connection import Connection
from lookalike.database.probe import require_functions
from lookalike.dialects import UserTable
from lookalike.index import kinds, server_index
from lookalike.index.check import check_index
from lookalike.index.holding import HeldIndex


class CollectionIndex:
    """`collection.index`: build, check and hold the index."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def build(
        self,
        *,
        kind: IndexKind | None = None,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Build a new index next to the old one, and switch to it.

        Args:
            kind: "lookalike" or, on servers that have a vector index of their own, "server"; by
                default the kind that the collection has, which is at first the server's where it
                has one for the metric. The index of the other kind is dropped, and `add` keeps the
                new kind.
            target_recall: Share of the true 10 nearest that a search should find, from 0.5 to
                0.999; by default as in the last training, at first .99. A result whose similarity
                is within a thousandth of the tenth's also counts.
            progress: Called with (embeddings done, embeddings in all).

        Returns:
            False if another process is training, or the collection is so small that search is
            exact.

        Raises:
            InputError: The collection cannot have such an index, or target_recall is out of range
                or given for the server's index.
        """
        self._state.repair()
        return self._state.build(kind, target_recall=target_recall, progress=progress)

    def check(self) -> IndexReport:
        """Compare every code with its embedding; change nothing."""
        state, problems = self._state, tuple[str, ...]()
        if state.own is not None:
            problems = user_tables.problems_of(state.connection, state.dialect, state.own)
        return replace(check_index(state.index), problems=problems)

    def refresh(self, *, compare: bool = True) -> IndexStatus:
        """Bring the index up to date with what other programs have changed; return its status.

        Args:
            compare: Also compare the ids of all rows and codes: this finds what no trigger tells,
                such as TRUNCATE and cascades of foreign keys.

        Raises:
            DatabaseError: The log of a table of your own is missing.
        """
        self._state.refresh(compare=compare)
        return self.status()

    def status(self) -> IndexStatus:
        """Return how the index is kept, and how fresh it is."""
        state, index = self._state, self._state.index
        table, own, problems, pending = index.table, state.own, tuple[str, ...](), 0
        connection, dialect = state.connection, state.dialect
        kind = kinds.existing_kind(index)
        scheduled: str | None = None
        kept, place = "add", f"{connection.url.database}.{table.name}"
        if own is not None:
            problems = user_tables.problems_of(connection, dialect, own)
            pending = user_tables.count_logged(connection, dialect, own) or 0
            kept = own.table.kept
            scheduled = scheduling.scheduled(connection, dialect, own.table)
            place = f"{own.table.schema or connection.url.database}.{own.table.table}"
        if kind == "server":
            kept = "server"
        elif kinds.has_both(index):
            problems += (
                "the server's own index is still there, and slows down inserts: build one of the "
                "two kinds again",
            )
        if kind == "lookalike":
            pending += int(connection.value(dialect.count_above_tail(table)))
        rows = int(connection.value(dialect.count_rows(table)))
        return IndexStatus(
            name=state.name,
            table=place,
            vector=table.embedding_column,
            id_column=own.table.id_column if own else table.id_column,
            name_column=table.name_column,
            metric=table.metric,
            kept=kept,
            scheduled=scheduled,
            rows=rows,
            indexed=rows if kind == "server" else index.size()[0],
            pending=pending,
            problems=problems,
            plan=index.plan(),
            kind=kind,
            edges=dialect.server_index_edges if server_index.has_made(index) else None,
        )

    def schedule(self, seconds: int = 60) -> IndexStatus:
        """Let the server refresh the index of a table of your own, by an event; return its status.

        It encodes new and changed rows by the procedure lookalike_refresh, with the rights of this
        account, until `unschedule` or `drop`. Scheduling again replaces the event.

        Args:
            seconds: How long from one refresh to the next, 1 to 86,400.

        Raises:
            InputError: It is a collection, whose index `add` keeps.
            UnsupportedServer: The server does not run lookalike's procedures.
            DatabaseError: The event scheduler is off, the procedures are missing, the account lacks
                the EVENT privilege, or the index needs `build`; the message says what to do.
        """
        own = self._state.require_own("is refreshed by lookalike add")
        require_functions(self._state.connection, self._state.dialect)
        index = self._state.index.state()
        if index is None or index.generation == 0:
            raise InputError(
                f"{self._state.name!r} has no index yet: when the table has "
                f"{self._state.index_sizes.fewest_rows} rows, run lookalike index refresh"
            )
        if index.rotation != "factored":
            raise InputError(
                f"the index of {self._state.name!r} is of an older version, which only Python can "
                f"refresh: run lookalike index rebuild --collection {self._state.name}"
            )
        scheduling.schedule(self._state.connection, self._state.dialect, own.table, seconds)
        return self.status()

    def unschedule(self) -> IndexStatus:
        """Let the server no longer refresh the index; return its status."""
        own = self._state.require_own("is refreshed by lookalike add")
        scheduling.unschedule(self._state.connection, self._state.dialect, own.table)
        return self.status()

    def drop(self) -> None:
        """Drop the index, of either kind; the table stays.

        Of a table of your own also its triggers and what else lookalike has made for it. Searches
        of a collection then compare every row, until `build` or the next `add` makes an index: the
        server's where it has one for the metric.
        """
        self._state.require_table()
        if self._state.own is None:
            self._state.drop_index()
        else:
            user_tables.drop(self._state.connection, self._state.dialect, self._state.name)

    def hold(
        self, *, memory: int | str | None = None, progress: Progress = lambda done, total: None
    ) -> HeldIndex:
        """Hold the index in memory, as fresh as the table: see `Collection.hold_index`.

        Args:
            memory: The most to take, in bytes or as "2G"; by default a quarter of what is free. The
                codes have to fit; the embeddings are held too, as float32, bfloat16 or int8,
                whichever fits.
            progress: Called from another thread with (codes read, codes in all).

        Raises:
            InputError: memory is no size, or the collection has no table.
        """
        limit = check_bytes("memory", memory)
        held = HeldIndex(
            self._state.index, limit=limit, notify=self._state.notify, progress=progress
        )
        before, self._state.held = self._state.held, held
        if before is not None:
            before.close()
        return held


def status_of_lost(connection: Connection, table: UserTable, error: InputError) -> IndexStatus:
    """Return the status of a table of the user's own that cannot be opened."""
    return IndexStatus(
        name=table.name,
        table=f"{table.schema or connection.url.database}.{table.table}",
        vector=table.vector,
        id_column=table.id_column,
        name_column=table.name_column,
        metric=cast(Metric, table.metric),
        kept=table.kept,
        scheduled=None,
        rows=0,
        indexed=0,
        pending=0,
        problems=(str(error),),
        plan=None,
    )
