"""A collection: images and their embeddings in one table, and what can be asked of them."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal, overload

import numpy as np
import numpy.typing as npt

from lookalike.connection import Connection
from lookalike.contact_sheet import match_tiles, query_tile, write_contact_sheet
from lookalike.dialects import Dialect, Statement
from lookalike.errors import EmbeddingError, InputError
from lookalike.images import find_images
from lookalike.index_store import IndexStore
from lookalike.ingest import Ingest, Progress, insert_rows
from lookalike.models import Model
from lookalike.queries import Query, embed_query, query_image
from lookalike.request import AUTO, Request
from lookalike.schema import (
    CollectionRecord,
    create_collection,
    find_collection,
)
from lookalike.search import Searcher, SearchOptions, Trace
from lookalike.training import is_due, train
from lookalike.types import (
    AddReport,
    Explanation,
    ImageRecord,
    IndexReport,
    Match,
    Metric,
    Text,
)
from lookalike.vectors import FloatArray, check_embedding, check_embeddings, unpack

_INSERT_ROWS = 1000
_MAX_INSERT_BYTES = 8_000_000


class Collection:
    """Images in a MySQL table `name` (id, image_name, embedding VECTOR(dim)).

    Made by `Database.collection`. The table is created by the first `add`. A collection
    remembers its model for ever and refuses another's embeddings.
    """

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
        self.name = name
        if model not in (None, AUTO) and self.model_id not in (None, model):
            # Two names can mean one model; only one that differs is worth loading it here.
            self._model = self._request.load_model(self._record, notify)

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
            self._stored_index = IndexStore(
                self._connection, self._dialect, self.name, self.metric, self.dim
            )
        return self._stored_index

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

    def add(
        self,
        *paths: str | os.PathLike[str],
        batch_size: int = 16,
        progress: Progress = lambda done, total: None,
    ) -> AddReport:
        """Embed and store images: files, folders (with all below them) and globs.

        What is stored already and unchanged is left alone; a file that changed is embedded
        again; a file that cannot be read is reported and skipped. Every batch is one
        transaction. Raises InputError where a path does not exist or holds no image.
        """
        if not paths:
            raise InputError("name at least one file or folder to add")
        images = list(find_images(paths))
        if not images:
            raise InputError(f"no images in {', '.join(map(str, paths))}")
        self._create(self.model.dim, self.model.id)
        ingest = Ingest(self._index, self.model, batch_size)
        report = ingest.run(images, progress)
        self._look_after_index(ingest.ids)
        return report

    def add_embeddings(self, names: Sequence[str], embeddings: npt.ArrayLike) -> list[int]:
        """Store embeddings that you bring, shape (n, dim), and return the ids of their rows.

        All or none are stored. Raises EmbeddingError for other shapes, NaN, infinity and
        all-zero rows.
        """
        model_id = self.model_id
        if model_id is None and self._request.model is not None:
            model_id = self.model.id
        checked = check_embeddings(embeddings, self.dim)
        if len(names) != len(checked):
            raise EmbeddingError(f"{len(names)} names do not fit {len(checked)} embeddings")
        self._create(self.dim, model_id)
        step = max(1, min(_INSERT_ROWS, _MAX_INSERT_BYTES // (4 * self.dim)))
        ids: list[int] = []
        with self._connection.transaction():
            for start in range(0, len(names), step):
                part = slice(start, start + step)
                ids += insert_rows(self._index, names[part], checked[part])
        self._look_after_index(ids)
        return ids

    def _look_after_index(self, new_ids: Sequence[int]) -> None:
        self._index.advance_tail(new_ids)
        if is_due(self._index):
            self.build_index()

    def build_index(self, *, progress: Progress = lambda done, total: None) -> bool:
        """Train the index anew, beside the old one, and switch to it; `add` does so by itself.

        Returns False where another process is training already, or the collection is so small
        that its search is exact.
        """
        self._require_table()
        self._notify(f"Training the index of {self.name}.")
        index = train(self._index, self._connection.open_another, progress=progress)
        if index is not None:
            self._index.advance_tail([])
        return index is not None

    def check_index(self) -> IndexReport:
        """Compare the index with every embedding; nothing is changed."""
        self._require_table()
        return self._index.check()

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
        return record

    @overload
    def search(
        self,
        query: Query,
        *,
        k: int = ...,
        min_similarity: float | None = ...,
        exact: bool = ...,
        n_probes: int | None = ...,
        oversampling: float | None = ...,
        explain: Literal[False] = ...,
    ) -> list[Match]: ...

    @overload
    def search(
        self,
        query: Query,
        *,
        k: int = ...,
        min_similarity: float | None = ...,
        exact: bool = ...,
        n_probes: int | None = ...,
        oversampling: float | None = ...,
        explain: Literal[True],
    ) -> Explanation: ...

    def search(
        self,
        query: Query,
        *,
        k: int = 10,
        min_similarity: float | None = None,
        exact: bool = False,
        n_probes: int | None = None,
        oversampling: float | None = None,
        explain: bool = False,
    ) -> list[Match] | Explanation:
        """Return the k stored images most similar to the query, best first, ties by id.

        query: a Path or PIL image; a str that is a path, an http(s) URL or a stored name; a
        stored id; Text for models that have text; or a vector of shape (dim,).
        min_similarity: leave out what is less similar; for cosine from -1 to 1.
        exact: compare every embedding, instead of those that the index finds.
        n_probes: how many of the index's cells to read; by default as many as training has found
        to be needed. oversampling: compare the k * oversampling best estimates exactly.
        explain: return the plan, the statements, the rows touched and the times as well.
        """
        options = SearchOptions(k, min_similarity, exact, n_probes, oversampling)
        trace = Trace()
        with trace.step("embed the query"):
            embedding = self._embed(query, options)
        plan, matches = Searcher(self._index).search(embedding, options, trace)
        if not explain:
            return matches
        analysis = ""
        if trace.statement is not None:
            analysis = self._connection.value(self._dialect.analyze(trace.statement))
        return Explanation(plan, tuple(trace.steps), analysis, tuple(matches))

    def search_sql(
        self,
        query: Query,
        *,
        k: int = 10,
        min_similarity: float | None = None,
        exact: bool = False,
        n_probes: int | None = None,
        oversampling: float | None = None,
    ) -> Statement:
        """Return (sql, params): the statement that `search` would run."""
        options = SearchOptions(k, min_similarity, exact, n_probes, oversampling)
        return Searcher(self._index).plan(self._embed(query, options), options)

    def _embed(self, query: Query, options: SearchOptions) -> FloatArray:
        options.check(self.metric)
        self._require_table()
        return embed_query(
            query, dim=self.dim, model=lambda: self.model, stored=self._stored_embedding
        )

    def _require_table(self) -> None:
        if self._record is None:
            self._record = find_collection(self._connection, self._dialect, self.name)
        if self._record is None:
            raise InputError(
                f"there is no collection {self.name!r} in {self._connection.url.database}: "
                "add images to it first (lookalike add FOLDER)"
            )

    def _stored_embedding(self, query: int | str) -> FloatArray:
        row_id = query if isinstance(query, int) else self._id_of(query)
        rows = self._connection.query(self._dialect.embeddings(self.name, [row_id]))
        if not rows or rows[0][1] is None:
            raise InputError(f"collection {self.name!r} has no image with id {row_id}")
        return check_embedding(unpack([rows[0][1]], self.dim)[0], self.dim)

    def _id_of(self, name: str) -> int:
        ids = [row[0] for row in self._connection.query(self._dialect.ids_by_name(self.name, name))]
        if len(ids) > 1:
            raise InputError(f"several images are named {name!r}: give an id, as {ids[0]}")
        if ids:
            return int(ids[0])
        if name.isdecimal():
            return int(name)
        raise InputError(f"{name!r} is no image file, and no stored image has that name or id")

    def records(self, ids: Iterable[int]) -> list[ImageRecord]:
        """Return the stored images of these ids, in their order; unknown ids are left out."""
        wanted = list(ids)
        if not wanted or self._record is None:
            return []
        names: dict[int, str | None] = dict(
            self._connection.query(self._dialect.records(self.name, wanted))
        )
        paths: dict[int, str] = {}
        if self._record.has_files:
            paths = dict(self._connection.query(self._dialect.paths(self.name, wanted)))
        return [
            ImageRecord(i, names[i] or "", Path(paths[i]) if i in paths else None)
            for i in wanted
            if i in names
        ]

    def contact_sheet(
        self, file: str | os.PathLike[str], query: Query, matches: Sequence[Match]
    ) -> Path:
        """Write a page of the query and its matches with previews; return its absolute path."""
        image, name = None, str(query)
        if isinstance(query, Text):
            name = query.text
        elif not isinstance(query, np.ndarray):
            image = query_image(query)
        tiles = match_tiles(matches, self.records(match.id for match in matches))
        target = Path(file).absolute()
        title = f"{name} in {self.name}"
        write_contact_sheet(target, title, [query_tile(name, image), *tiles])
        return target

    def delete(self, ids: Iterable[int]) -> int:
        """Delete the rows of these ids, not their files; return how many there were."""
        wanted = list(ids)
        if not wanted:
            return 0
        self._require_table()
        deleted = 0
        with self._connection.transaction():
            for start in range(0, len(wanted), _INSERT_ROWS):
                part = wanted[start : start + _INSERT_ROWS]
                self._index.remove(part)
                deleted += self._connection.execute(self._dialect.delete_rows(self.name, part))
        return deleted

    def __len__(self) -> int:
        """How many images are stored."""
        if self._record is None:
            return 0
        return int(self._connection.value(self._dialect.count_rows(self.name)))

    def __bool__(self) -> bool:
        """True also when it is empty: a collection is a place, not its contents."""
        return True

    def __repr__(self) -> str:
        return f"<Collection {self.name} in {self._connection.url}>"
