"""A collection: images and their embeddings in one table, and what can be asked of them."""

import math
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Unpack, overload

import numpy.typing as npt

from lookalike.add.add import add_files
from lookalike.add.ingest import TIME_LIMIT_SECONDS, IngestOptions, Progress
from lookalike.attributes.catalog import filter_of, make_index
from lookalike.attributes.files import AttributeSource, AttributeTable, read_attributes
from lookalike.attributes.store import store_attributes
from lookalike.collection.duplicate_calls import DuplicateCalls
from lookalike.collection.row_calls import RowCalls
from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.paths import expand_user
from lookalike.core.types import (
    AddReport,
    AttributesReport,
    Calibration,
    Explanation,
    ImageRecord,
    IndexReport,
    Match,
    Screening,
)
from lookalike.core.vectors import check_embeddings
from lookalike.core.written import CONTACT_SHEET, check_target
from lookalike.database.retry import PATIENCE_SECONDS, Persistence
from lookalike.dialects import Statement
from lookalike.images.walk import ImageWalk
from lookalike.index.check import check_index
from lookalike.index.repair import maintain
from lookalike.index.rows import id_of, insert_rows, with_paths
from lookalike.index.training import train
from lookalike.pages.contact_sheet import match_tiles, query_tile, write_contact_sheet
from lookalike.screening.calibration import calibrate
from lookalike.screening.screener import (
    Screener,
    default_min_similarity,
    expanded,
    store_min_similarity,
    stored_min_similarity,
)
from lookalike.search.embedding import IMAGE, AnyQuery, EmbeddedQuery, QueryEmbedder
from lookalike.search.levels import Rater
from lookalike.search.options import SearchKeywords, SearchOptions
from lookalike.search.percentiles import Percentiles, at_percentile
from lookalike.search.query_pictures import parts_of, title_of
from lookalike.search.searcher import Searcher, Trace


class _Asked(NamedTuple):
    """A search that is ready to run."""

    searcher: Searcher
    query: EmbeddedQuery
    options: SearchOptions
    left_out: frozenset[int]
    percentiles: Percentiles | None


class Collection(RowCalls, DuplicateCalls):
    """Images in a MySQL table `name` (id, image_name, embedding VECTOR(dim)).

    Made by `Database.collection`. The table is created by the first `add`. A collection
    remembers its model for ever and refuses another's embeddings.
    """

    def add(
        self,
        *paths: str | os.PathLike[str],
        exclude: Sequence[str] = (),
        hidden: bool = False,
        prune: bool = False,
        retry: bool = False,
        batch_size: int | None = None,
        time_limit: float = TIME_LIMIT_SECONDS,
        patience: float = PATIENCE_SECONDS,
        progress: Progress = lambda done, total: None,
    ) -> AddReport:
        """Embed and store images: files, folders (with all below them) and globs.

        What is stored already and unchanged is left alone; a file that changed is embedded again;
        a file that was moved keeps its row, with the new path, and a copy gets the embedding of
        the same bytes; a file that cannot be read is reported, skipped and kept in the table of
        failures until it changes. Every batch is one transaction.

        exclude: patterns as in a .gitignore file. hidden: take names that begin with a dot too.
        prune: delete the rows below these folders whose files are gone.
        retry: try again what has failed before. batch_size: images embedded at a time.
        time_limit: for decoding one file, and patience: for a database that does not answer, in
        seconds. progress: called from another thread.

        Raises InputError where a path does not exist or holds no image, and ConnectionFailed,
        with a count of what is safe, where the database does not come back.
        """
        if not paths:
            raise InputError("name at least one file or folder to add")
        options = IngestOptions(batch_size, retry, time_limit, patience)
        walk = ImageWalk(paths, exclude=exclude, hidden=hidden)
        walk.check()
        persistence = Persistence(self._connection, patience=patience, notify=self._notify)
        # A model that is on record need not be loaded for a folder in which nothing is new.
        known = self._record if self._record and self._record.model else self.model
        persistence.run(lambda: self._create(known.dim, self.model_id or self.model.id))
        report = add_files(
            self._index,
            lambda: self.model,
            walk,
            options,
            prune=prune,
            progress=progress,
            notify=self._notify,
        )
        persistence.run(lambda: self._maintain_index(compare=True))
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
        with self._connection.transaction():
            ids = insert_rows(self._index, names, checked)
        self._index.advance_tail(ids)
        self._maintain_index()
        return ids

    def _maintain_index(self, *, compare: bool = False) -> None:
        self._percentiles.forget_if_grown()
        if maintain(self._index, compare=compare):
            self.build_index()

    def build_index(
        self,
        *,
        target_recall: float | None = None,
        progress: Progress = lambda done, total: None,
    ) -> bool:
        """Train the index anew, beside the old one, and switch to it; `add` does so by itself.

        target_recall: the share of the true 10 nearest that a search is to find, from 0.5 to
        0.999; by default that of the last training, .99 at first. A result whose similarity is
        within a thousandth of the tenth's counts as true.

        Returns False where another process is training already, or the collection is so small
        that its search is exact.
        """
        self._require_indexable()
        self._notify(f"Training the index of {self.name}.")
        index = train(
            self._index,
            self._connection.open_another,
            target_recall=target_recall,
            progress=progress,
        )
        if index is not None:
            self._index.advance_tail([])
        return index is not None

    def set_attributes(
        self, source: AttributeSource | AttributeTable, *folders: str | os.PathLike[str]
    ) -> AttributesReport:
        """Set attributes of stored images, all or none, from a file or rows with a "path".

        folders: what paths may be relative to as well. Raises what `read_attributes` does, and
        InputError where no row's image is stored.
        """
        given = source if isinstance(source, AttributeTable) else read_attributes(source)
        self._require_table()
        return store_attributes(self._table, given, folders)

    def index_attribute(self, name: str) -> bool:
        """Index an attribute in the database; False where it is indexed already."""
        self._require_table()
        return make_index(self._table, name)

    def check_index(self) -> IndexReport:
        """Compare the index with every embedding; nothing is changed."""
        self._require_table()
        return check_index(self._index)

    @overload
    def search(
        self, query: AnyQuery, *, explain: Literal[False] = ..., **options: Unpack[SearchKeywords]
    ) -> list[Match]: ...

    @overload
    def search(
        self, query: AnyQuery, *, explain: Literal[True], **options: Unpack[SearchKeywords]
    ) -> Explanation: ...

    def search(
        self, query: AnyQuery, *, explain: bool = False, **options: Unpack[SearchKeywords]
    ) -> list[Match] | Explanation:
        """Return the k stored images most similar to the query, best first, ties by id.

        query: a Path or PIL image; a str that is a path, an http(s) URL or a stored name; a
        stored id; a vector of shape (dim,); Text for models that have text; or a mix of terms,
        such as Image("shoe.jpg") + 0.5 * Text("red") - Query(12).
        options: the fields of `SearchOptions`, such as k=5, min_similarity=0.8 or exact=True.
        explain: return the plan, the statements, the rows touched and the times as well.
        """
        trace = Trace()
        asked = self._asked(query, SearchOptions(**options), trace)
        plan, matches = asked.searcher.search(
            asked.query.embedding, asked.options, trace, left_out=asked.left_out
        )
        rater = Rater(self._table, self.model_id, lambda: self.model)
        matches = rater.rate(asked.query, matches, asked.percentiles)
        matches = with_paths(self._table, matches)
        if not explain:
            return matches
        analysis = ""
        if trace.statement is not None:
            analysis = self._connection.value(self._dialect.analyze(trace.statement))
        return Explanation(plan, self._index.plan(), tuple(trace.steps), analysis, tuple(matches))

    def search_sql(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Statement:
        """Return (sql, params): the statement that `search` would run.

        What it passes over and leaves out is among its rows: `search` does that to them.
        """
        asked = self._asked(query, SearchOptions(**options), Trace())
        return asked.searcher.plan(asked.query.embedding, asked.options, left_out=asked.left_out)

    def _asked(self, query: AnyQuery, options: SearchOptions, trace: Trace) -> "_Asked":
        """Check what is asked, and embed the query."""
        options.check(self.metric)
        self._require_table()
        searcher = Searcher(self._index, filter_of(self._table, options.where))
        with trace.step("embed the query"):
            embedder = QueryEmbedder(
                self._table,
                lambda: self.model,
                allow_private=options.allow_private_urls,
            )
            embedded = embedder.embed(query)
        if embedded.kind != IMAGE:
            options = options.for_words(self._index.load(or_last=True))
        percentiles = self._percentiles.get(embedded.kind)
        options = at_percentile(options, percentiles)
        left_out = embedded.left_out(options.exclude_self)
        return _Asked(searcher, embedded, options, left_out, percentiles)

    def screen(
        self,
        images: Iterable[Any],
        *,
        against: str | None = None,
        min_similarity: float | None = None,
        k: int = 5,
        time_limit: float = TIME_LIMIT_SECONDS,
        allow_private_urls: bool = False,
    ) -> Iterator[Screening]:
        """Tell of each image whether it resembles any stored one: yields a `Screening` of each.

        images: paths, http(s) URLs, the bytes of files, and PIL images, also without end; the
        answers come in their order, each as soon as it is known.
        against: the name of another collection; this one without it.
        min_similarity: what is at least as similar is a match; by default what is stored with the
        collection, else what was measured of its model. k: how many matches are told.
        """
        if against not in (None, self.name):
            other = Collection(self._connection, self._dialect, str(against), notify=self._notify)
            yield from other.screen(
                images,
                min_similarity=min_similarity,
                k=k,
                time_limit=time_limit,
                allow_private_urls=allow_private_urls,
            )
            return
        least = self.min_similarity if min_similarity is None else min_similarity
        yield from self._screener(least, k, time_limit, allow_private_urls).screen(images)

    def calibrate(
        self,
        matches: Iterable[Any],
        others: Iterable[Any],
        *,
        max_false_positive_rate: float | None = None,
        store: bool = False,
    ) -> Calibration:
        """Suggest a min_similarity for `screen` from examples, and with store=True keep it.

        matches: images that should match the collection; others: images that should not; as for
        `screen`, and folders and globs. Raises ImageError for one that cannot be read.
        """
        screener = self._screener(None, 1, TIME_LIMIT_SECONDS, False)
        found = calibrate(
            list(screener.best_similarities(expanded(matches))),
            list(screener.best_similarities(expanded(others))),
            max_false_positive_rate=max_false_positive_rate,
            highest={"cosine": 1.0, "euclidean": 0.0}.get(self.metric, math.inf),
        )
        if store:
            self.min_similarity = found.min_similarity
        return found

    @property
    def min_similarity(self) -> float:
        """From where on `screen` calls an image a match; set, it is stored with the collection.

        Raises InputError where none is stored and none was measured of the model.
        """
        self._require_table()
        stored = stored_min_similarity(self._table)
        if stored is not None:
            return stored
        return default_min_similarity(self.model_id, self.metric)

    @min_similarity.setter
    def min_similarity(self, value: float) -> None:
        self._require_table()
        store_min_similarity(self._table, value)

    def _screener(
        self, min_similarity: float | None, k: int, time_limit: float, allow_private: bool
    ) -> Screener:
        self._require_table()
        return Screener(
            self._index,
            lambda: self.model,
            min_similarity=min_similarity,
            k=k,
            time_limit=time_limit,
            allow_private=allow_private,
            notify=self._notify,
        )

    def contact_sheet(
        self,
        file: str | os.PathLike[str],
        query: AnyQuery,
        matches: Sequence[Match],
        *,
        allow_private_urls: bool = False,
        force: bool = False,
    ) -> Path:
        """Write a page of the query and its matches, with links to their files.

        Returns its absolute path.

        file: its name ends in .html or .htm. force: replace it also where lookalike did not write
        it. Raises InputError.
        """
        target = expand_user(file).absolute()
        check_target(target, CONTACT_SHEET, force=force)
        parts = parts_of(query, self._record_of, allow_private=allow_private_urls)
        tiles = match_tiles(matches, self.records(match.id for match in matches))
        title = f"{title_of(parts)} in {self.name}"
        write_contact_sheet(target, title, [*map(query_tile, parts), *tiles], force=force)
        return target

    def _record_of(self, query: int | str) -> ImageRecord:
        """Return the stored image of an id or a name. Raises InputError where there is none."""
        row_id = id_of(self._table, query) if isinstance(query, str) else int(query)
        found = self.records([row_id])
        if not found:
            raise InputError(f"collection {self.name!r} has no image with id {row_id}")
        return found[0]
