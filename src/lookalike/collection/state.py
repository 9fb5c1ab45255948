"""An opened collection: its record, model, table and index, each loaded on first use."""

from collections.abc import Callable
from dataclasses import replace
from threading import Lock

from lookalike.collection import user_tables
from lookalike.collection.request import AUTO, Request
from lookalike.core.arguments import check_text
from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.types import INDEX_SIZES, IndexKind, IndexSizes, Metric
from lookalike.database.connection import Connection
from lookalike.database.own_tables import unknown
from lookalike.database.schema import (
    CollectionRecord,
    check_indexable,
    check_side_tables,
    create_collection,
    find_collection,
)
from lookalike.database.table import VectorTable
from lookalike.database.user_tables import OpenedTable
from lookalike.dialects import Dialect, Table
from lookalike.index.holding import HeldIndex
from lookalike.index.store import IndexStore
from lookalike.models.lazy import LazyModel
from lookalike.search.percentiles import PercentileStore


class CollectionState:
    """The state shared by all operations on a collection.

    Attributes:
        connection: Connection to the server.
        dialect: The server's SQL dialect.
        notify: Called with one line of important news.
        request: The arguments of opening the collection.
        index_sizes: From how many rows it is indexed, and from how many in cells.
        record: What is stored about it; None before its table is created.
        model: Its model, loaded on first use.
        held: Its index in memory, while it is held there.
        waiting_pairs: Distinct images of which one was put back, and the other may follow.
    """

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        request: Request,
        notify: Callable[[str], None],
        index_sizes: IndexSizes = INDEX_SIZES,
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.notify = notify
        self.request = request
        self.index_sizes = index_sizes
        check_text("the name of a collection", request.name)
        self.record = find_collection(connection, dialect, request.name)
        request.check(self.record)
        self.model = LazyModel(lambda: request.load_model(self.record, notify))
        self.held: HeldIndex | None = None
        self.waiting_pairs: set[tuple[int, int]] = set()
        self._opening = Lock()
        self._index: IndexStore | None = None
        self._percentiles: PercentileStore | None = None
        if request.model not in (None, AUTO) and self.model_id not in (None, request.model):
            # Two names can mean one model: load it only if the names differ.
            self.model.get()

    @property
    def name(self) -> str:
        """The collection's name, in lower case if the server stores table names so."""
        return self.request.name if self.record is None else self.record.name

    @property
    def dim(self) -> int | None:
        """Length of the embeddings; None before anything is stored or its model is loaded."""
        if self.record is not None:
            return self.record.dim
        if self.request.dim is not None:
            return self.request.dim
        return self.model.loaded.dim if self.model.loaded else None

    @property
    def metric(self) -> Metric:
        """The metric of search."""
        stored = self.record.metric if self.record is not None else "cosine"
        return self.request.metric or stored

    @property
    def model_id(self) -> str | None:
        """Id of the model of the stored embeddings; None if users bring them."""
        return self.record.model if self.record is not None else None

    @property
    def has_files(self) -> bool:
        """Whether `add` has created its side tables."""
        record = self.record
        return record is not None and record.is_registered and record.has_files

    @property
    def table(self) -> VectorTable:
        """The collection's table. Raises InputError if there is none."""
        record = self.require_table()
        names = record.own.names if record.own else Table(record.name)
        return VectorTable(
            *(names.name, names.id_column, names.name_column, names.embedding_column),
            source=names.source,
            shards=record.shards,
            connection=self.connection,
            dialect=self.dialect,
            dim=record.dim,
            metric=self.metric,
            has_files=self.has_files,
        )

    @property
    def own(self) -> OpenedTable | None:
        """The user's own table that it is; None for a collection."""
        return self.record.own if self.record is not None else None

    @property
    def copy_of(self) -> str | None:
        """What it is an unfinished copy of; None otherwise."""
        return self.record.copy_of if self.record is not None else None

    @property
    def index(self) -> IndexStore:
        """The index of the collection's table."""
        with self._opening:
            if self._index is None:
                self._index = IndexStore(self.table, self.index_sizes)
            return self._index

    @property
    def percentiles(self) -> PercentileStore:
        """Percentiles of the similarity of random pairs."""
        with self._opening:
            if self._percentiles is None:
                self._percentiles = PercentileStore(self.table, self.model)
            return self._percentiles

    def create(self, dim: int, model_id: str | None) -> None:
        """Create those of the collection's tables that are missing."""
        self.require_collection()
        if self.has_files:
            return
        if dim > self.dialect.max_dim:
            raise InputError(
                f"dim is {dim}; {self.dialect.name} stores up to {self.dialect.max_dim} dimensions"
            )
        spread = self.record.shards if self.record else self.request.shards
        self.record = create_collection(
            self.connection,
            self.dialect,
            self.name,
            dim=dim,
            model=model_id,
            metric=self.metric,
            shards=spread,
        )
        with self._opening:
            self._index = self._percentiles = None

    def require_table(self) -> CollectionRecord:
        """Return what is stored about the collection. Raises InputError if it has no table."""
        if self.record is None:
            self.record = find_collection(self.connection, self.dialect, self.name)
        if self.record is None:
            raise unknown(self.connection, self.dialect, self.name)
        return self.record

    def require_collection(self) -> None:
        """Raise InputError for what lookalike does not change.

        That is a table of the user's own, and an unfinished copy: whoever finishes that makes it
        equal to its source again.
        """
        if self.own is not None:
            raise InputError(
                f"{self.name!r} is a table of your own, which lookalike only reads: change "
                f"{self.own.table.shown} with SQL"
            )
        self.require_finished()

    def require_finished(self) -> None:
        """Raise InputError for an unfinished copy."""
        if self.copy_of is not None:  # finished meanwhile, perhaps
            self.record = find_collection(self.connection, self.dialect, self.name)
        if self.copy_of is not None:
            raise InputError(
                f"{self.name!r} is an unfinished copy of {self.copy_of}: finish it with the same "
                f"lookalike copy, or delete it: lookalike collections delete {self.name}"
            )

    def require_own(self, why: str) -> OpenedTable:
        """Return the table of the user's own.

        Raises InputError for a collection; why: what is said of its index.
        """
        self.require_table()
        if self.own is None:
            raise InputError(f"{self.name!r} is a collection, whose index {why}")
        return self.own

    def require_decidable(self) -> CollectionRecord:
        """Return the record of a collection that can store decisions about its images."""
        record = self.require_table()
        self.require_collection()
        refusal = "no decisions can be kept about"
        check_side_tables(self.connection, self.dialect, self.table, refusal)
        return record

    def maintain(self, *, compare: bool = False) -> None:
        """Repair and train the index if due; called after rows were added."""
        from lookalike.index.repair import maintain  # not needed to search

        self.percentiles.forget_if_grown()
        if maintain(self.index, compare=compare):
            self.train()
        if self.dialect.indexed_metrics and self.own is None:
            from lookalike.index import server_index

            server_index.maintain(self.index)

    def refresh(self, *, compare: bool = True) -> None:
        """Bring the index up to date with what other programs have changed.

        compare: also compare the ids of all rows and codes.
        """
        is_told = False
        if self.own is not None:
            is_told = user_tables.make_ready(self.connection, self.dialect, self.own)
        self.index.advance_tail([])
        self.maintain(compare=compare or not is_told)

    def repair(self) -> None:
        """Create what is missing of what keeps the index of a user's own table true."""
        if self.record is None or self.record.own is None:
            return
        own = user_tables.repaired(self.connection, self.dialect, self.record.own, self.notify)
        self.record = replace(self.record, own=own)
        with self._opening:
            self._index = self._percentiles = None

    def build(
        self,
        kind: IndexKind | None,
        *,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Build the index; return False if it was not built: see `CollectionIndex.build`."""
        from lookalike.index import kinds, server_index

        index = self.index
        kind = kind or kinds.chosen_kind(index)
        self.check_index(kind)
        if kind == "lookalike":
            if kinds.chosen_kind(index) != kind:
                kinds.choose_ours(index)
            if is_built := self.train(target_recall=target_recall, progress=progress):
                server_index.drop(index)
            return is_built
        if self.own is not None:
            raise InputError(
                f"{self.name!r} is a table of your own, which lookalike never alters: create the "
                "server's index with SQL, or give lookalike"
            )
        self.require_finished()
        if target_recall is not None:
            raise InputError(
                "target_recall is for lookalike's own index; the server's is not trained"
            )
        server_index.drop(index)
        is_built = server_index.has_index(index) or server_index.create(index)
        kinds.drop_ours(index)  # last: it serves until the other is there
        return is_built

    def check_index(self, kind: IndexKind) -> None:
        """Raise InputError for a kind of index that the collection cannot have."""
        from lookalike.index import kinds

        kinds.check_kind(self.dialect, self.metric, kind)
        is_spread = self.record.shards if self.record else self.request.shards
        if is_spread and kind == "lookalike":
            raise InputError(
                f"{self.name!r} is spread over shards, which have indexes of their own: give server"
            )

    def choose_index(self, kind: IndexKind) -> None:
        """Remember which kind of index `maintain` makes."""
        from lookalike.index import kinds

        if kind == "lookalike" and kinds.chosen_kind(self.index) != kind:
            kinds.choose_ours(self.index)

    def change_index(self, kind: IndexKind) -> None:
        """Build an index of this kind if the collection has another one, or both."""
        from lookalike.index import kinds

        found = {kinds.chosen_kind(self.index), kinds.existing_kind(self.index) or kind}
        if found != {kind} or kinds.has_both(self.index):
            self.build(kind)

    def drop_index(self) -> None:
        """Drop the collection's index, of either kind."""
        from lookalike.index import kinds, server_index

        self.require_collection()
        server_index.drop(self.index)
        kinds.drop_ours(self.index)

    def train(
        self,
        *,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Train lookalike's own index; return False if it was not trained."""
        from lookalike.index.training import train  # not needed to search

        self.require_finished()
        if self.own is None:
            check_indexable(self.connection, self.dialect, self.table)
        self.notify(f"Training the index of {self.name}.")
        index = train(
            self.index,
            target_recall=target_recall,
            progress=progress,
        )
        if index is not None:
            self.index.advance_tail([])
        return index is not None
