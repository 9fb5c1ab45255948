"""The index in the database: load it, and keep it consistent with the embeddings."""

import threading
import time
from collections.abc import Sequence

import numpy as np

from lookalike.core.errors import DatabaseError
from lookalike.core.types import INDEX_SIZES, IndexSizes, Plan
from lookalike.core.vectors import FloatArray, unpack_bfloat16
from lookalike.database.errors import Busy, MissingTable
from lookalike.database.table import VectorTable
from lookalike.dialects import CodeRow, IndexState, Lock, Statement
from lookalike.index.ivf import Index
from lookalike.index.rotation import rotation_of
from lookalike.index.versions import is_pruning_due, note_changes, prune_log

_BATCH = 4096
_CODES = 10_000
_SIZE_SECONDS = 60.0


class IndexStore:
    """The index of one table of embeddings.

    Methods that change the codes run in the caller's transaction, with the change of the rows.
    """

    def __init__(self, table: VectorTable, sizes: IndexSizes = INDEX_SIZES) -> None:
        self.table, self.sizes = table, sizes
        self._connection, self._dialect = table.connection, table.dialect
        self._loaded: Index | None = None
        self._counting = threading.Lock()
        self.lost_codes = False
        """Whether another program emptied or dropped the codes' table, or replaced the rows."""
        self.inserted_since_repair: int | None = None
        """Rows inserted since `repair` compared rows and codes, None before the first time."""
        self._changed_since_pruning = 0
        self._sized: tuple[float, int] | None = None

    def load(self, *, or_last: bool = False) -> Index | None:
        """Return the current index, None if there is none yet.

        or_last: accept the cached index, for statements that check the generation themselves.

        Raises DatabaseError if its parameters are not those that made its codes.
        """
        if or_last and (loaded := self._loaded) is not None:
            return loaded
        return self._at(self.state())

    def state(self, lock: Lock = "") -> IndexState | None:
        """Return the stored state of the index, None if there is none.

        lock: "share" locks the generation until the transaction ends, "update" is for changing it.
        """
        try:
            rows = self._connection.query(self._dialect.index_state(self.table, lock=lock))
        except MissingTable:
            return None
        return IndexState(*rows[0]) if rows else None

    def _at(self, state: IndexState | None) -> Index | None:
        if state is None or state.generation == 0:
            return None
        # Read it once: another thread may replace the cached index at any time.
        loaded = self._loaded
        if loaded is None or (loaded.generation, loaded.fingerprint) != (
            state.generation,
            state.fingerprint,
        ):
            loaded = self._loaded = self._read(state)
        return loaded

    def _read(self, state: IndexState) -> Index | None:
        try:
            rows = self._connection.query(self._dialect.centroids(self.table, state.generation))
        except MissingTable:
            return None  # dropped by another program
        packed = [row[0] for row in rows]
        bits = rotation_of(state.rotation, self.table.dim, 0).bits
        if packed and all(len(centroid) == 2 * bits for centroid in packed):
            index = Index(
                metric=self.table.metric,
                dim=self.table.dim,
                generation=state.generation,
                seed=state.seed,
                unit=state.unit,
                plan=Plan(
                    state.n_probes,
                    state.probe_gap,
                    state.rescored,
                    state.recall,
                    state.target_recall,
                ),
                trained_rows=state.trained_rows,
                centroids=unpack_bfloat16(packed, bits),
                spreads=np.array([row[1] for row in rows], np.float32),
                rotation=state.rotation,
            )
            if index.fingerprint == state.fingerprint:
                return index
        raise DatabaseError(
            f"the index of {self.table.title!r} does not match its fingerprint: make it again with "
            f"lookalike index rebuild --collection {self.table.title}"
        )

    def size(self) -> tuple[int, int]:
        """Return (rows in the index, number of cells): (0, 0) while there is none."""
        index = self.load()
        if index is None or self._has_no_codes(index):
            return 0, 0
        codes = self._connection.value(self._dialect.count_codes(self.table, index.generation))
        return int(codes), index.n_cells

    def rough_size(self) -> int:
        """Return an upper bound of the number of rows, at most a minute old."""
        now, sized = time.monotonic(), self._sized
        if sized is None or now > sized[0] + _SIZE_SECONDS:
            self._sized = sized = now, self.table.id_range()
        return sized[1]

    def plan(self) -> Plan | None:
        """Return how searches use the index, None while there is none."""
        index = self.load(or_last=True)
        return None if index is None else index.plan

    def forget_loaded(self) -> None:
        """Drop the cached index, so that the next use reads it again."""
        self._loaded = None

    def note_compared(self, *, lost_codes: bool | None = None) -> None:
        """Record that rows and codes were compared, and whether codes are lost, if known."""
        with self._counting:
            self.inserted_since_repair = 0
            if lost_codes is not None:
                self.lost_codes = lost_codes

    # In transactions that change rows.

    def hold(self) -> None:
        """Lock the generation until the transaction ends.

        For transactions that read before they insert: the first read fixes what all later reads
        see, and that must not be older than the generation.
        """
        self.state("share")

    def insert(self, ids: Sequence[int], embeddings: FloatArray) -> None:
        """Add the codes of new rows; the generation cannot change until the transaction ends."""
        index = self._at(self.state("share"))
        if index is not None:
            self._look_for_codes(index)
            self.insert_codes(index, index.code_rows(ids, embeddings))
        with self._counting:
            if self.inserted_since_repair is not None:
                self.inserted_since_repair += len(ids)

    def insert_codes(self, index: Index, rows: Sequence[CodeRow]) -> None:
        """Insert codes in batches that fit into one packet."""
        self._note([row.id for row in rows])
        step = self.code_batch(index)
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            self._change(self._dialect.insert_codes(self.table, index.generation, part))

    def _note(self, ids: Sequence[int]) -> None:
        note_changes(self.table, ids)
        with self._counting:
            self._changed_since_pruning += len(ids)

    def prune_log(self) -> None:
        """Prune the log of changes now and then; outside transactions."""
        with self._counting:
            changed, self._changed_since_pruning = self._changed_since_pruning, 0
        if is_pruning_due(changed):
            prune_log(self.table)

    def code_batch(self, index: Index) -> int:
        """Return the maximum number of codes per statement: each takes twice as many hex digits."""
        size = index.centroids.shape[1] // 4 + 100
        return int(max(1, min(_CODES, (self._connection.max_packet - 1000) // size)))

    def _change(self, statement: Statement) -> int:
        """Change the codes. If their table was dropped, the next training repairs it."""
        try:
            return self._connection.execute(statement)
        except MissingTable:
            self.lost_codes = True
            return 0

    def remove(self, ids: Sequence[int]) -> None:
        """Delete the codes of rows that will be deleted or changed."""
        if not ids:
            return
        state = self.state("share")
        index = self._at(state)
        if state is not None and state.building is not None:
            self._connection.execute(self._dialect.note_changes(self.table, ids))
        if index is None:
            return
        self._note(ids)
        self._change(self._dialect.delete_codes_by_id(self.table, index.generation, ids))

    # After a change.

    def advance_tail(self, own_ids: Sequence[int]) -> None:
        """Process all rows above the tail; those in own_ids already have their codes.

        Of a table with a log, process the logged rows too, without locking any row of it. If
        another transaction is still inserting there, the tail stays, and searches read it exactly
        until a later call.
        """
        if self.table.log:
            while self._consume_log():
                pass
            self.prune_log()
            return
        mine = set(own_ids)
        try:
            with self._connection.transaction():
                # Lock first, so that later reads are not older than the rows under the locks.
                state = self.state("share")
                if state is None or state.generation == 0:
                    return
                tail = self._connection.value(self._dialect.tail(self.table, lock="update nowait"))
                ids = self._connection.query(
                    self._dialect.ids_above(self.table, tail or 0, lock="share nowait")
                )
                index = self._at(state)
                if index is None:
                    return
                self._look_for_codes(index)
                if not ids:
                    return
                self.index_rows(index, [row[0] for row in ids if row[0] not in mine])
                self._connection.execute(self._dialect.set_tail(self.table, ids[-1][0]))
        except Busy:
            pass
        self.prune_log()

    def _consume_log(self) -> bool:
        """Process some logged rows and some above the tail; return whether there may be more.

        Everything is read in one snapshot, in which each logged change is done, and exactly the
        logged rows that were read are deleted: what commits later is logged on its own.
        """
        table, connection, dialect = self.table, self._connection, self._dialect
        with connection.transaction():
            # Lock first, so that what is read is not older than what others have processed.
            state = self.state("share")
            tail = connection.value(dialect.tail(table, lock="update")) if state else None
            logged = connection.query(dialect.logged(table, _BATCH))
            ids = list(dict.fromkeys(row[1] for row in logged))
            if ids and state is not None and state.building is not None:
                connection.execute(dialect.note_changes(table, ids))
            index = self._at(state)
            above: list[int] = []
            if index is not None and tail is not None:
                above = [row[0] for row in connection.query(self._first_above(tail))]
                self._look_for_codes(index)
                self._code_again(index, list(dict.fromkeys([*ids, *above])))
            if above:
                connection.execute(dialect.set_tail(table, above[-1]))
            if logged:
                connection.execute(dialect.forget_logged(table, [row[0] for row in logged]))
        return _BATCH in (len(logged), len(above))

    def _first_above(self, tail: int) -> Statement:
        return self._dialect.first_ids_above(self.table, tail, _BATCH)

    def _code_again(self, index: Index, ids: Sequence[int]) -> None:
        if not ids:
            return
        self._note(ids)
        self._change(self._dialect.delete_codes_by_id(self.table, index.generation, ids))
        self.index_rows(index, ids)

    def index_rows(self, index: Index, ids: Sequence[int]) -> None:
        """Add the codes of rows that the caller's transaction has locked."""
        for start in range(0, len(ids), _BATCH):
            found, embeddings = self.table.indexable_embeddings(ids[start : start + _BATCH])
            self.insert_codes(index, index.code_rows(found.tolist(), embeddings))

    def _look_for_codes(self, index: Index) -> None:
        if not self.lost_codes and self._has_no_codes(index):
            self.lost_codes = True

    def _has_no_codes(self, index: Index) -> bool:
        try:
            return not self._connection.value(self._dialect.has_codes(self.table, index.generation))
        except MissingTable:
            return True
