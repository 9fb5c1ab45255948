"""A collection: images and their embeddings in one table, and what can be asked of them."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Unpack, overload

import numpy.typing as npt

from lookalike.contact_sheet import match_tiles, query_tile, write_contact_sheet
from lookalike.dialects import Statement
from lookalike.errors import EmbeddingError, InputError
from lookalike.ingest import TIME_LIMIT_SECONDS, IngestOptions, Progress, add_files
from lookalike.levels import at_level
from lookalike.opened import OpenedCollection
from lookalike.query_embedding import (
    IMAGE,
    AnyQuery,
    EmbeddedQuery,
    QueryEmbedder,
    describe,
    picture_of,
)
from lookalike.retry import PATIENCE_SECONDS
from lookalike.rows import delete_rows, insert_rows, records, remove
from lookalike.search import Searcher, SearchKeywords, SearchOptions, Trace
from lookalike.status import failures, read_status
from lookalike.training import is_due, train
from lookalike.types import (
    AddReport,
    Explanation,
    ImageRecord,
    IndexReport,
    Match,
    Status,
    StoredFailure,
)
from lookalike.vectors import check_embeddings
from lookalike.walk import ImageWalk

_INSERT_ROWS = 1000
_MAX_INSERT_BYTES = 8_000_000


class Collection(OpenedCollection):
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
        a new file of the same bytes as a stored one gets its embedding; a file that cannot be
        read is reported, skipped and kept in the table of failures until it changes. Every batch
        is one transaction.

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
        if next(iter(walk), None) is None:
            raise InputError(f"no images in {', '.join(map(str, paths))}")
        if self._record is not None and self._record.model is not None:
            self._create(self._record.dim, self._record.model)
        else:
            self._create(self.model.dim, self.model.id)
        report = add_files(
            self._index,
            lambda: self.model,
            walk,
            options,
            prune=prune,
            progress=progress,
            notify=self._notify,
        )
        self._look_after_index()
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
        self._index.advance_tail(ids)
        self._look_after_index()
        return ids

    def _look_after_index(self) -> None:
        self._levels.forget_if_grown()
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
        checked = SearchOptions(**options)
        trace = Trace()
        with trace.step("embed the query"):
            embedded = self._embed(query, checked)
        if embedded.kind != IMAGE:
            checked = checked.for_words(self._index.load(or_last=True))
        levels = self._levels.get(embedded.kind)
        plan, matches = Searcher(self._index).search(
            embedded.embedding,
            at_level(checked, levels),
            trace,
            left_out=embedded.left_out(checked.exclude_self),
        )
        if levels:
            matches = [replace(m, match=levels.level(m.similarity)) for m in matches]
        if not explain:
            return matches
        analysis = ""
        if trace.statement is not None:
            analysis = self._connection.value(self._dialect.analyze(trace.statement))
        return Explanation(plan, tuple(trace.steps), analysis, tuple(matches))

    def search_sql(self, query: AnyQuery, **options: Unpack[SearchKeywords]) -> Statement:
        """Return (sql, params): the statement that `search` would run."""
        checked = SearchOptions(**options)
        embedded = self._embed(query, checked)
        if embedded.kind != IMAGE:
            checked = checked.for_words(self._index.load(or_last=True))
        return Searcher(self._index).plan(embedded.embedding, checked)

    def is_chance(self, match: Match) -> bool | None:
        """Whether a match is no better than chance; None where that is not known.

        Of n images, as many as the square root of n may belong together: a similarity that more
        than 1 in sqrt(n) random pairs reach says nothing.
        """
        if match.match is None:
            return None
        return match.match < 100 * (1 - 1 / math.sqrt(max(1, len(self))))

    def _embed(self, query: AnyQuery, options: SearchOptions) -> EmbeddedQuery:
        options.check(self.metric)
        record = self._require_table()
        return QueryEmbedder(
            self._index,
            lambda: self.model,
            has_files=record.has_files,
            allow_private=options.allow_private_urls,
        ).embed(query)

    def records(self, ids: Iterable[int]) -> list[ImageRecord]:
        """Return the stored images of these ids, in their order; unknown ids are left out."""
        if self._record is None:
            return []
        return records(self._index, ids, with_paths=self._record.has_files)

    def contact_sheet(
        self, file: str | os.PathLike[str], query: AnyQuery, matches: Sequence[Match]
    ) -> Path:
        """Write a page of the query and its matches with previews; return its absolute path."""
        name, image = describe(query), picture_of(query)
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
        return delete_rows(self._index, wanted)

    def remove(self, *targets: int | str | os.PathLike[str]) -> int:
        """Delete the rows of stored images, not their files; return how many there were.

        targets: ids, paths of files or of folders with all below them, or stored names. Raises
        InputError for one that is not stored, and then nothing is deleted.
        """
        self._require_table()
        with_paths = self._record is not None and self._record.has_files
        return remove(self._index, targets, with_paths=with_paths)

    def failures(self) -> list[StoredFailure]:
        """Return the files that could not be added and have not been since, by path."""
        return failures(self._index) if self._has_tables else []

    def status(self) -> Status:
        """Return what the collection holds, and what its last `add` did."""
        self._require_table()
        return read_status(self._index, self.model_id, has_tables=self._has_tables)
