"""A collection: images and their embeddings in one table, and its operations.

What only some operations need is imported in them, so that a search starts fast.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from lookalike.collection.removing import Removal
from lookalike.collection.stored import StoredImages
from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.types import Explanation, IndexKind, Match, Metric, Screening
from lookalike.database.retry import RETRY_SECONDS
from lookalike.dialects import Statement
from lookalike.pipeline.limits import TIME_LIMIT_SECONDS

if TYPE_CHECKING:
    import numpy.typing as npt

    from lookalike.attributes.conditions import Where
    from lookalike.collection.attributes import CollectionAttributes
    from lookalike.collection.documents import CollectionDocuments
    from lookalike.collection.duplicates import CollectionDuplicates
    from lookalike.collection.indexing import CollectionIndex
    from lookalike.collection.matches import Matches
    from lookalike.collection.threshold import CollectionThreshold
    from lookalike.core.cluster import RayCluster
    from lookalike.core.reports import AddReport, Status
    from lookalike.index.holding import HeldIndex
    from lookalike.models.base import Model
    from lookalike.search.options import SearchKeywords
    from lookalike.search.source import AnyQuery


class Collection(StoredImages, Removal):
    """Images in a MySQL table `name` (id, image_name, embedding VECTOR(dim)).

    Made by `Database.collection`; the first `add` or `upsert` creates the table. A collection
    remembers its model permanently and refuses another model's embeddings.

    Attributes:
        index: Build and check the index.
        attributes: Set, get, list, index and drop the images' attributes.
        documents: Texts and images with text ids and metadata, as frameworks store them.
        duplicates: Find, report, delete and decide on duplicates.
        threshold: Get, set and calibrate the threshold of `screen`.
    """

    @property
    def name(self) -> str:
        """The collection's name, in lower case if the server stores table names so."""
        return self._state.name

    @property
    def exists(self) -> bool:
        """Whether the collection's table existed when last checked."""
        return self._state.record is not None

    @property
    def dim(self) -> int | None:
        """Length of the embeddings; None before anything is stored or the model is loaded."""
        return self._state.dim

    @property
    def metric(self) -> Metric:
        """The metric of search."""
        return self._state.metric

    @property
    def model_id(self) -> str | None:
        """Id of the model of the embeddings; None if users bring them."""
        return self._state.model_id

    @cached_property
    def index(self) -> CollectionIndex:
        """The index of the embeddings."""
        from lookalike.collection.indexing import CollectionIndex

        return CollectionIndex(self._state)

    @cached_property
    def attributes(self) -> CollectionAttributes:
        """The attributes of the images."""
        from lookalike.collection.attributes import CollectionAttributes

        return CollectionAttributes(self._state)

    @cached_property
    def documents(self) -> CollectionDocuments:
        """The rows as documents."""
        from lookalike.collection.documents import CollectionDocuments

        return CollectionDocuments(self._state)

    @cached_property
    def duplicates(self) -> CollectionDuplicates:
        """The duplicates among the images."""
        from lookalike.collection.duplicates import CollectionDuplicates

        return CollectionDuplicates(self._state)

    @cached_property
    def threshold(self) -> CollectionThreshold:
        """The similarity from which `screen` reports a match."""
        from lookalike.collection.threshold import CollectionThreshold

        return CollectionThreshold(self._state)

    def load_model(self) -> Model:
        """Return the collection's model, loaded on first use; raises ModelError if it has none."""
        return self._state.model.get()

    def add(
        self,
        *paths: str | os.PathLike[str],
        only: Sequence[str | os.PathLike[str]] | None = None,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        prune: bool = False,
        retry: bool = False,
        facts: bool = False,
        location: bool = False,
        batch_size: int | None = None,
        time_limit: float = TIME_LIMIT_SECONDS,
        retry_timeout: float = RETRY_SECONDS,
        index: IndexKind | None = None,
        ray: RayCluster | None = None,
        progress: Progress = lambda done, total: None,
    ) -> AddReport:
        """Embed and store images: files, folders (recursive) and globs.

        Unchanged files are skipped; changed files are embedded again; a moved file keeps its row,
        with the new path; a copy reuses the embedding of the same bytes; an unreadable file is
        reported and skipped, and recorded as a failure until it changes. Every batch is one
        transaction.

        Args:
            paths: Files, folders, globs and URLs that fsspec reads, such as s3://bucket/folder.
            only: Look only at these files and folders in them, such as those that have changed.
            exclude: Patterns as in a .gitignore file.
            hidden: Include names that begin with a dot.
            prune: Delete rows below these folders whose files are gone.
            retry: Retry files that failed before.
            facts: Set attributes from what each file tells, also of stored ones: taken_at, camera,
                format, width, height, file_size and folder. What you set yourself stays.
            location: Also latitude and longitude.
            batch_size: Images per batch; by default the model's best.
            time_limit: For decoding one file, in seconds.
            retry_timeout: How long to retry while the database does not answer, in seconds.
            index: The kind of index to make and keep from now on: "lookalike" or "server", as in
                `index.build`.
            ray: Decode and embed on the workers of a Ray cluster, which read the same paths.
            progress: Called from another thread with (files done, files in all).

        Raises:
            InputError: A path does not exist or contains no image, you have attributes with the
                names of facts, or there can be no such index.
            MissingExtra: Ray is not installed, or what a URL needs.
            ConnectionFailed: The database did not come back; the message says how much is stored.
        """
        if not paths:
            raise InputError("name at least one file or folder to add")
        from lookalike.add.ingest import IngestOptions
        from lookalike.collection import adding
        from lookalike.images.walk import ImageWalk

        walk = ImageWalk(paths, exclude=exclude, hidden=hidden, only=only)
        options = IngestOptions(
            batch_size, retry, time_limit, retry_timeout, facts, location, ray=ray
        )
        return adding.add(self._state, walk, options, prune=prune, kind=index, progress=progress)

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
            names: Names of the rows; they never identify a row. Without names, replaced rows keep
                theirs.
            ids: Create rows with these ids, or replace the embeddings of existing ones. Without
                ids, insert new rows.
            attributes: For filters, one dict per row; None removes an attribute.

        Raises:
            EmbeddingError: Another shape, NaN, infinity or an all-zero row.
            InputError: The lengths differ, an id is repeated or belongs to a file, or an attribute
                cannot be stored.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> shapes.upsert([[1, 0], [0, 1]], names=["right", "up"])
            [1, 2]
            >>> shapes.upsert([[1, 1]], ids=[2], names=["between"])
            [2]
        """
        from lookalike.collection import items

        return items.upsert(self._state, embeddings, names, ids, attributes)

    def add_embeddings(self, names: Sequence[str], embeddings: npt.ArrayLike) -> list[int]:
        """Insert new rows: `upsert` without ids."""
        return self.upsert(embeddings, names=names)

    def status(self) -> Status:
        """Return the collection's status and the result of its last `add`."""
        from lookalike.collection.status import read_status

        return read_status(self._state.index, self.model_id, self._state.held, self._state.copy_of)

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
        order_by: str | None = None,
        allow_private_urls: bool = False,
        exact: bool = False,
        n_probes: int | None = None,
        oversampling: float | None = None,
    ) -> Matches:
        """Return the k stored images most similar to the query, best first, ties by id.

        Args:
            query: A Path or PIL image; a str that is a path, an http(s) URL or a stored name; a
                stored id; a vector of shape (dim,) or a list of numbers; Text, if the model
                supports it; or a mix, such as Image("shoe.jpg") + 0.5 * Text("red") - Query(12).
            k: Number of results.
            offset: Number of results to skip, for the next page.
            where: Conditions on attributes, names and files, as {"brand": "acme",
                "price": ("<", 50)} or "price<50 or sale=true"; only matching rows are searched.
            min_similarity: Omit less similar results; for cosine from -1 to 1.
            min_percentile: The same by `Match.percentile`, from 0 to 100.
            exclude_self: Omit stored images that are part of the query, and files with the bytes of
                an image in it; None omits those given by id or name.
            include: "attributes" to return those of each result.
            order_by: Attribute by which to order the k best, or id, image_name, path, modified,
                folder or suffix; "-taken_at" for the largest first.
            allow_private_urls: Allow URLs of this machine and private networks.
            exact: Compare every embedding instead of using the index.
            n_probes: Number of cells of the index to read; by default as measured in training.
            oversampling: Compare the k * oversampling best estimates exactly; by default as
                measured in training.

        Raises:
            InputError, ImageError, EmbeddingError, ModelError: The query is not valid.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0], [0, 1]], names=["right", "up"])
            >>> [match.image_name for match in shapes.search(np.array([1.0, 0.2]))]
            ['right', 'up']
        """
        from lookalike.collection import querying

        return querying.search_many(
            self._state,
            [query],
            k=k,
            offset=offset,
            where=where,
            min_similarity=min_similarity,
            min_percentile=min_percentile,
            exclude_self=exclude_self,
            include=include,
            order_by=order_by,
            allow_private_urls=allow_private_urls,
            exact=exact,
            n_probes=n_probes,
            oversampling=oversampling,
        )[0]

    def search_many(
        self, queries: Sequence[AnyQuery], **options: Unpack[SearchKeywords]
    ) -> list[Matches]:
        """Return the results of many queries, in order; options: as in `search`, for all."""
        from lookalike.collection import querying

        return querying.search_many(self._state, queries, **options)

    def explain(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Explanation:
        """Run a search as `search` does; return its plan, statements, rows read and times."""
        from lookalike.collection import querying

        return querying.explain(self._state, query, **options)

    def search_sql(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Statement:
        """Return (sql, params): a statement that answers a search by itself, in any client.

        Its columns are id, image_name and similarity. It reads what `search` reads first.
        """
        from lookalike.collection import querying

        return querying.search_sql(self._state, query, **options)

    def hold_index(self, *, memory: int | str | None = None) -> HeldIndex:
        """Hold the index in memory, for a service or notebook that asks many questions.

        A thread loads it; until then, and where it does not fit, MySQL searches. Each search sees
        every change that was committed before it. End it by `with` or `close`, or never.

        memory: the most to take, in bytes or as "2G"; by default a quarter of what is free.
        """
        return self.index.hold(memory=memory)

    def contact_sheet(
        self,
        file: str | os.PathLike[str],
        query: AnyQuery,
        matches: Sequence[Match],
        *,
        allow_private_urls: bool = False,
        force: bool = False,
    ) -> Path:
        """Write a page of a query and its matches, linked to their files; return its absolute path.

        file: a name that ends in .html or .htm. force: replace it even if lookalike did not write
        it. Raises InputError if it cannot be written.
        """
        from lookalike.collection import pages

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
        folders: bool = False,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        index_memory: int | str | None = None,
    ) -> Iterator[Screening]:
        """Screen images against this collection; yield one `Screening` each, in order.

        Args:
            images: Paths, http(s) URLs, file contents and PIL images; may be endless. Each answer
                comes as soon as it is known.
            min_similarity: Lowest similarity of a match; by default the stored threshold, or else
                the model's measured one.
            k: Number of matches to report.
            time_limit: For decoding one image, in seconds.
            allow_private_urls: As in `search`.
            folders: Replace folders and globs by their images, as `add` does.
            exclude: With folders: .gitignore patterns of files to skip.
            hidden: With folders: include files and folders whose names begin with a dot.
            index_memory: What a long stream may take to hold the index, as "2G"; by default a
                quarter of the free memory.
        """
        from lookalike.core.sizes import check_bytes
        from lookalike.screening.screener import Screener, walked

        return Screener(
            self._state.index,
            self._state.model,
            min_similarity=self.threshold.get() if min_similarity is None else min_similarity,
            k=k,
            time_limit=time_limit,
            allow_private=allow_private_urls,
            held=self._state.held,
            index_memory=check_bytes("index_memory", index_memory),
            notify=self._state.notify,
        ).screen(walked(images, folders=folders, exclude=exclude, hidden=hidden))

    def __repr__(self) -> str:
        return f"<Collection {self.name} in {self._state.connection.url}>"
