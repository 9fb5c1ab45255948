"""A collection as it was opened: its record, its model, its index, each had when it is needed."""

from collections.abc import Callable

from lookalike.collection.request import AUTO, Request
from lookalike.core.errors import InputError
from lookalike.core.types import Metric
from lookalike.database.connection import Connection
from lookalike.database.schema import (
    CollectionRecord,
    check_indexable,
    check_side_tables,
    create_collection,
    find_collection,
)
from lookalike.database.table import VectorTable
from lookalike.dialects import Dialect
from lookalike.index.store import IndexStore
from lookalike.models.base import Model
from lookalike.search.percentiles import PercentileStore


class OpenedCollection:
    """What every operation on a collection starts from."""

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        name: str,
        *,
        model: str | Model | None = None,
        dim: int | None = None,
        metric: Metric | None = None,
        notify: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._dialect = dialect
        self._notify = notify
        self._record = find_collection(connection, dialect, name)
        self._request = Request(name, model, dim, metric)
        self._request.check(self._record)
        self._model: Model | None = None
        self._stored_index: IndexStore | None = None
        self._stored_percentiles: PercentileStore | None = None
        if model not in (None, AUTO) and self.model_id not in (None, model):
            # Two names can mean one model; only one that differs is worth loading it here.
            self._model = self._request.load_model(self._record, notify)

    @property
    def name(self) -> str:
        """The collection's name, in lower case on servers that keep the names of tables so."""
        return self._request.name if self._record is None else self._record.name

    @property
    def exists(self) -> bool:
        """Whether the collection's table has been made."""
        return self._record is not None

    @property
    def dim(self) -> int:
        """The length of the collection's embeddings."""
        if self._record is not None:
            return self._record.dim
        return self._request.dim if self._request.dim is not None else self.model.dim

    @property
    def metric(self) -> Metric:
        """What search ranks by."""
        stored = self._record.metric if self._record is not None else "cosine"
        return self._request.metric or stored

    @property
    def _index(self) -> IndexStore:
        if self._stored_index is None:
            self._stored_index = IndexStore(self._table)
        return self._stored_index

    @property
    def _table(self) -> VectorTable:
        return VectorTable(
            self.name,
            connection=self._connection,
            dialect=self._dialect,
            dim=self.dim,
            metric=self.metric,
            has_files=self._has_tables,
        )

    @property
    def _percentiles(self) -> PercentileStore:
        if self._stored_percentiles is None:
            self._stored_percentiles = PercentileStore(self._table, lambda: self.model)
        return self._stored_percentiles

    @property
    def model_id(self) -> str | None:
        """The id of the model that made the embeddings, None where users bring them."""
        return self._record.model if self._record is not None else None

    @property
    def model(self) -> Model:
        """The collection's model, loaded when it is first needed.

        Raises ModelError where the collection has none, or its dim is another.
        """
        if self._model is None:
            self._model = self._request.load_model(self._record, self._notify)
        return self._model

    def _create(self, dim: int, model_id: str | None) -> CollectionRecord:
        record = self._record
        if record is None or not record.is_registered or not record.has_files:
            record = create_collection(
                self._connection,
                self._dialect,
                self.name,
                dim=dim,
                model=model_id,
                metric=self.metric,
            )
            self._record = record
            self._stored_index = self._stored_percentiles = None
        return record

    def _require_table(self) -> CollectionRecord:
        if self._record is None:
            self._record = find_collection(self._connection, self._dialect, self.name)
        if self._record is None:
            raise InputError(
                f"there is no collection {self.name!r} in {self._connection.url.database}; "
                "add images first: lookalike add FOLDER"
            )
        return self._record

    def _require_indexable(self) -> None:
        self._require_table()
        check_indexable(self._connection, self._dialect, self._table)

    def _require_decidable(self) -> CollectionRecord:
        """Return the record of a collection that can keep decisions about its images."""
        record = self._require_table()
        refusal = "no decisions can be kept about"
        check_side_tables(self._connection, self._dialect, self._table, refusal)
        return record

    @property
    def _has_tables(self) -> bool:
        record = self._record
        return record is not None and record.is_registered and record.has_files

    def __len__(self) -> int:
        """How many images are stored."""
        if self._record is None:
            return 0
        return int(self._connection.value(self._dialect.count_rows(self._table)))

    def __bool__(self) -> bool:
        """True also when it is empty: a collection is a place, not its contents."""
        return True

    def __repr__(self) -> str:
        return f"<Collection {self.name} in {self._connection.url}>"
