"""A collection: images and their embeddings in one table, and what can be asked of them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy.typing as npt

from lookalike.add.add import add_files, find_gone
from lookalike.add.ingest import IngestOptions
from lookalike.attributes.filters import Where
from lookalike.collection import items, pages, querying
from lookalike.collection.attributes import CollectionAttributes
from lookalike.collection.duplicates import CollectionDuplicates
from lookalike.collection.indexing import CollectionIndex
from lookalike.collection.items import Item
from lookalike.collection.request import Request
from lookalike.collection.state import CollectionState
from lookalike.collection.status import read_failures, read_status
from lookalike.collection.threshold import CollectionThreshold
from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.reports import AddReport, Status, StoredFailure
from lookalike.core.types import Explanation, ImageRecord, Match, Metric, Screening
from lookalike.database.connection import Connection
from lookalike.database.retry import RETRY_SECONDS, Persistence
from lookalike.dialects import Dialect, Statement
from lookalike.images.walk import ImageWalk
from lookalike.index.rows import delete_rows, find, records
from lookalike.models.base import Model
from lookalike.pipeline.decoder import TIME_LIMIT_SECONDS
from lookalike.screening.screener import Screener
from lookalike.search.options import SearchKeywords, SearchOptions
from lookalike.search.source import AnyQuery

Target = int | str | os.PathLike[str]
"""A stored image: its id, name or file's path; or a folder, for all below it."""


class Collection:
    """Images in a MySQL table `name` (id, image_name, embedding VECTOR(dim)).

    Made by `Database.collection`; the table is created by the first `add` or `upsert`. A
    collection remembers its model for ever and refuses another's embeddings.

    Attributes:
        index: The index: build, check.
        attributes: The images' attributes: set, get, index.
        duplicates: Groups of duplicates: find, report, delete, decide.
        threshold: Where `screen` begins to match: get, set, calibrate.
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
        request = Request(name, model, dim, metric)
        self._state = CollectionState(connection, dialect, request, notify)

    @property
    def name(self) -> str:
        """The collection's name, in lower case on servers that keep the names of tables so."""
        return self._state.name

    @property
    def exists(self) -> bool:
        """Whether the collection's table had been created when this was last known."""
        return self._state.record is not None

    @property
    def dim(self) -> int | None:
        """The length of the embeddings, None before the first ones or the model is loaded."""
        return self._state.dim

    @property
    def metric(self) -> Metric:
        """What search ranks by."""
        return self._state.metric

    @property
    def model_id(self) -> str | None:
        """The id of the model that made the embeddings, None where users bring them."""
        return self._state.model_id

    @cached_property
    def index(self) -> CollectionIndex:
        """The index of the embeddings."""
        return CollectionIndex(self._state)

    @cached_property
    def attributes(self) -> CollectionAttributes:
        """The attributes of the images."""
        return CollectionAttributes(self._state)

    @cached_property
    def duplicates(self) -> CollectionDuplicates:
        """The duplicates among the images."""
        return CollectionDuplicates(self._state)

    @cached_property
    def threshold(self) -> CollectionThreshold:
        """From which similarity on `screen` calls an image a match."""
        return CollectionThreshold(self._state)

    def load_model(self) -> Model:
        """Return the collection's model, loaded on first use.

        Raises:
            ModelError: The collection has none, or its dim is another.
        """
        return self._state.model.get()

    def add(
        self,
        *paths: str | os.PathLike[str],
        exclude: Sequence[str] = (),
        hidden: bool = False,
        prune: bool = False,
        retry: bool = False,
        batch_size: int | None = None,
        time_limit: float = TIME_LIMIT_SECONDS,
        retry_timeout: float = RETRY_SECONDS,
        progress: Progress = lambda done, total: None,
    ) -> AddReport:
        """Embed and store images: files, folders (with all below them) and globs.

        Stored files that have not changed are skipped; a changed file is embedded again; a moved
        file keeps its row, with the new path; a copy gets the embedding of the same bytes; a file
        that cannot be read is reported, skipped and kept in the table of failures until it
        changes. Every batch is one transaction.

        Args:
            paths: Files, folders and globs.
            exclude: Patterns as in a .gitignore file.
            hidden: Include names that begin with a dot.
            prune: Delete the rows below these folders whose files are gone.
            retry: Retry files that failed before.
            batch_size: How many images to embed at a time.
            time_limit: For decoding one file, in seconds.
            retry_timeout: How long to retry while the database does not answer, in seconds.
            progress: Called from another thread with (files done, files in all).

        Raises:
            InputError: A path does not exist or holds no image.
            ConnectionFailed: The database does not come back; it says how much is safe.
        """
        if not paths:
            raise InputError("name at least one file or folder to add")
        options = IngestOptions(batch_size, retry, time_limit, retry_timeout)
        walk = ImageWalk(paths, exclude=exclude, hidden=hidden)
        walk.check()
        state = self._state
        persistence = Persistence(timeout=retry_timeout, notify=state.notify)
        # A model that is on record need not be loaded for a folder in which nothing is new.
        record = state.record
        known = record if record and record.model else state.model.get()
        model_id = state.model_id or state.model.get().id
        persistence.run(lambda: state.create(known.dim, model_id))
        report = add_files(
            state.index,
            state.model,
            walk,
            options,
            prune=prune,
            progress=progress,
            notify=state.notify,
        )
        persistence.run(lambda: state.maintain(compare=True))
        return report

    def upsert(
        self,
        embeddings: npt.ArrayLike,
        *,
        names: Sequence[str] | None = None,
        ids: Sequence[int] | None = None,
        attributes: Sequence[dict[str, Any]] | None = None,
    ) -> list[int]:
        """Store embeddings that you bring, all or none, and return the ids of their rows.

        Args:
            embeddings: Shape (n, dim).
            names: What the rows are called; names never identify a row. Rows that are replaced
                keep theirs where there are none.
            ids: Create these rows, or replace the embeddings of those that exist. Without ids,
                new rows are inserted.
            attributes: For filters, one dict a row; None removes an attribute.

        Raises:
            EmbeddingError: Another shape, NaN, infinity or an all-zero row.
            InputError: The lengths differ, an id comes twice or is the row of a file, or an
                attribute cannot be stored.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> shapes.upsert([[1, 0], [0, 1]], names=["right", "up"])
            [1, 2]
            >>> shapes.upsert([[1, 1]], ids=[2], names=["between"])
            [2]
        """
        return items.upsert(self._state, embeddings, names, ids, attributes)

    def add_embeddings(self, names: Sequence[str], embeddings: npt.ArrayLike) -> list[int]:
        """Insert new rows: `upsert` without ids."""
        return self.upsert(embeddings, names=names)

    def remove(self, *targets: Target) -> int:
        """Delete the rows of stored images, not their files; return how many there were.

        Raises:
            InputError: One is not stored; then nothing is deleted.
        """
        return delete_rows(self._state.index, find(self._state.table, targets))

    def remove_rows(self, ids: Iterable[int]) -> int:
        """Delete the rows of these ids, not their files; unknown ids are ignored."""
        wanted = list(ids)
        return delete_rows(self._state.index, wanted) if wanted else 0

    def count(self) -> int:
        """Return how many images are stored."""
        if self._state.record is None:
            return 0
        table = self._state.table
        return int(table.connection.value(table.dialect.count_rows(table)))

    def get(
        self,
        ids: Iterable[int],
        *,
        include: Sequence[Literal["embedding", "attributes"]] = ("embedding", "attributes"),
    ) -> list[Item]:
        """Return stored images by id, in the order of ids; unknown ids are left out.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0]], names=["right"], attributes=[{"price": 5}])
            >>> shapes.get(ids)[0].attributes
            {'price': 5}
        """
        return items.get(self._state, list(ids), include)

    def records(self, ids: Iterable[int]) -> list[ImageRecord]:
        """Return the names and paths of stored images, in the order of ids, without unknown ids."""
        return [] if self._state.record is None else records(self._state.table, ids)

    def find(self, *targets: Target) -> list[ImageRecord]:
        """Return the stored images that `remove` would remove.

        Raises:
            InputError: One is not stored.
        """
        return self.records(find(self._state.table, targets))

    def gone(
        self,
        *folders: str | os.PathLike[str],
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> list[ImageRecord]:
        """Return the stored images below folders whose files are gone: what `add` would prune.

        Args:
            folders: Where to look.
            exclude: As in `add`; a file that was moved to where `add` does not look is gone.
            hidden: As in `add`.

        Raises:
            InputError: A folder does not exist, or cannot be read.
        """
        table = self._state.table
        walk = ImageWalk(folders, exclude=exclude, hidden=hidden)
        return self.records(find_gone(table, walk, self._state.notify)) if table.has_files else []

    def failures(self) -> list[StoredFailure]:
        """Return the files that could not be added and have not been since, by path."""
        return read_failures(self._state.table) if self._state.has_files else []

    def status(self) -> Status:
        """Return what the collection holds, and what its last `add` did."""
        return read_status(self._state.index, self.model_id)

    def search(
        self,
        query: AnyQuery,
        *,
        k: int = 10,
        offset: int = 0,
        where: Where | None = None,
        min_similarity: float | None = None,
        min_percentile: float | None = None,
        exclude_self: bool | None = None,
        include: Sequence[Literal["attributes"]] = (),
        allow_private_urls: bool = False,
        exact: bool = False,
        n_probes: int | None = None,
        oversampling: float | None = None,
    ) -> list[Match]:
        """Return the k stored images most similar to the query, best first, ties by id.

        Args:
            query: A Path or PIL image; a str that is a path, an http(s) URL or a stored name; a
                stored id; a vector of shape (dim,); Text for models that have text; or a mix of
                terms, such as Image("shoe.jpg") + 0.5 * Text("red") - Query(12).
            k: How many results.
            offset: How many to skip, for the next page.
            where: Conditions on attributes, as {"brand": "acme", "price": ("<", 50)} or
                ["price<50"]; only matching rows are searched.
            min_similarity: Leave out less similar results; for cosine from -1 to 1.
            min_percentile: The same by `Match.percentile`, from 0 to 100.
            exclude_self: Leave out stored images that are part of the query, and files with the
                bytes of an image that is; None leaves out those named by id or name.
            include: "attributes" to have those of each result.
            allow_private_urls: Take URLs of this machine and of private networks.
            exact: Compare every embedding instead of those that the index finds.
            n_probes: How many cells of the index to read; by default as training measured.
            oversampling: Compare the k * oversampling best estimates exactly; by default as
                training measured.

        Raises:
            InputError, ImageError, EmbeddingError, ModelError: The query cannot be used.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0], [0, 1]], names=["right", "up"])
            >>> [match.image_name for match in shapes.search(np.array([1.0, 0.2]))]
            ['right', 'up']
        """
        options = SearchOptions(
            k=k,
            offset=offset,
            where=where,
            min_similarity=min_similarity,
            min_percentile=min_percentile,
            exclude_self=exclude_self,
            include=include,
            allow_private_urls=allow_private_urls,
            exact=exact,
            n_probes=n_probes,
            oversampling=oversampling,
        )
        return querying.search_many(self._state, [query], options)[0]

    def search_many(
        self, queries: Sequence[AnyQuery], **options: Unpack[SearchKeywords]
    ) -> list[list[Match]]:
        """Return the results of many queries, in their order; options: as in `search`, for all."""
        return querying.search_many(self._state, queries, SearchOptions(**options))

    def explain(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Explanation:
        """Run a search as `search` does; return its plan, statements, rows touched and times."""
        return querying.explain(self._state, query, SearchOptions(**options))

    def search_sql(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Statement:
        """Return (sql, params): the statement that `search` would run.

        Results that `search` skips or leaves out are among its rows.
        """
        return querying.search_sql(self._state, query, SearchOptions(**options))

    def contact_sheet(
        self,
        file: str | os.PathLike[str],
        query: AnyQuery,
        matches: Sequence[Match],
        *,
        allow_private_urls: bool = False,
        force: bool = False,
    ) -> Path:
        """Write a page of a query and its matches, with links to their files.

        Args:
            file: Its name ends in .html or .htm.
            query: What was searched for.
            matches: The results.
            allow_private_urls: As in `search`.
            force: Replace the file also where lookalike did not write it.

        Returns:
            The file's absolute path.

        Raises:
            InputError: The file cannot be written.
        """
        return pages.contact_sheet(
            self._state, file, query, matches, allow_private=allow_private_urls, force=force
        )

    def screen(
        self,
        images: Iterable[Any],
        *,
        min_similarity: float | None = None,
        k: int = 5,
        time_limit: float = TIME_LIMIT_SECONDS,
        allow_private_urls: bool = False,
    ) -> Iterator[Screening]:
        """Screen images against this collection; yield one `Screening` each, in their order.

        Args:
            images: Paths, http(s) URLs, the bytes of files, and PIL images, also without end; each
                answer comes as soon as it is known.
            min_similarity: What is at least as similar is a match; by default what is stored
                with the collection, else what was measured of its model.
            k: How many matches to report.
            time_limit: For decoding one image, in seconds.
            allow_private_urls: As in `search`.
        """
        return Screener(
            self._state.index,
            self._state.model,
            min_similarity=self.threshold.get() if min_similarity is None else min_similarity,
            k=k,
            time_limit=time_limit,
            allow_private=allow_private_urls,
            notify=self._state.notify,
        ).screen(images)

    def __repr__(self) -> str:
        return f"<Collection {self.name} in {self._state.connection.url}>"
