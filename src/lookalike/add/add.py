"""`add`: ingest files, prune rows of missing files, read facts, and record the run."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from lookalike.add.content import InFlight, NewFile
from lookalike.add.facts import FactsReader
from lookalike.add.ingest import Ingest, IngestOptions, batches
from lookalike.add.prune import Prune
from lookalike.add.scanner import Scanner
from lookalike.add.writer import Tally
from lookalike.core.errors import DatabaseError, InputError
from lookalike.core.progress import Progress
from lookalike.core.reports import AddReport
from lookalike.database.retry import Persistence
from lookalike.database.table import VectorTable
from lookalike.images.walk import FoundImage, ImageWalk, raw_remedy
from lookalike.index.rows import delete_rows
from lookalike.index.store import IndexStore
from lookalike.models.lazy import LazyModel

Notify = Callable[[str], None]


@dataclass
class _Run:
    """Counts for the record of a run."""

    tally: Tally
    removed: int = 0
    gone: int = 0


def add_files(
    index: IndexStore,
    model: LazyModel,
    walk: ImageWalk,
    options: IngestOptions,
    *,
    prune: bool,
    id_type: str,
    progress: Progress,
    notify: Notify,
) -> AddReport:
    """Embed and store a walk's images, prune and read facts if requested, and record the run.

    id_type: the SQL type of the collection's ids. Raises what `Ingest.run` and `FactsReader` raise.
    """
    started = time.perf_counter()
    pruning = Prune(walk) if prune else None
    ingest = Ingest(index, model, options, notify=notify)
    run = _Run(ingest.tally)
    persistence = Persistence(timeout=options.retry_timeout, notify=notify)
    reader = FactsReader(index.table, options, persistence, id_type) if options.facts else None
    with _recorded(index, persistence, run):
        ingest.run(walk, progress)
        if pruning:
            run.removed = _prune(index, persistence, pruning, notify)
        elif not walk.is_partial:
            run.gone = _count_gone(index.table, persistence, walk, run.tally)
        told = reader.fill(walk, progress) if reader else 0
    files = run.tally.files
    return AddReport(
        added=files["added"],
        updated=files["updated"],
        reused=files["reused"],
        unchanged=files["unchanged"],
        removed=run.removed,
        failed=tuple(run.tally.failed),
        failed_before=tuple(run.tally.failed_before),
        seconds=time.perf_counter() - started,
        stages=ingest.rates(),
        gone=run.gone,
        moved=files["moved"],
        facts=told,
        passed_over=dict(ingest.passed_over),
        raw_remedy=raw_remedy(ingest.passed_over),
    )


def find_gone(table: VectorTable, walk: ImageWalk, notify: Notify) -> list[int]:
    """Return the ids of the rows that pruning would delete. Raises what `Prune.find` raises."""
    pruning = Prune(walk)
    ids, _ = pruning.find(table)
    _tell_empty(pruning, table.name, notify)
    moved = _find_moved(table, walk) if ids else set()
    return [row_id for row_id in ids if row_id not in moved]


def _find_moved(table: VectorTable, walk: ImageWalk) -> set[int]:
    """Return the ids of the rows whose files are at new paths in the walk."""
    scanner = Scanner(
        table.connection.query_parts,
        table,
        InFlight(),
        folders=walk.folders,
        retry=False,
    )
    new: list[NewFile] = []
    for batch in batches(walk.walk()):
        scan = scanner.scan([found for found in batch if isinstance(found, FoundImage)])
        new += [each for content in scan.new for each in content.files if each.origin]
    new += [each for content in scanner.finish().new for each in content.files]
    return {each.origin.row_id for each in new if each.origin}


def _count_gone(table: VectorTable, persistence: Persistence, walk: ImageWalk, tally: Tally) -> int:
    """Return how many stored files below the walk's folders are gone; 0 if that is unknown."""
    seen = sum(tally.files[kind] for kind in ("added", "updated", "reused", "unchanged", "moved"))

    def find() -> int:
        below = (table.dialect.count_files_below(table, f"{f}/") for f in walk.folders)
        stored = sum(int(table.connection.value(statement)) for statement in below)
        # If no more files are stored than were seen, none is gone: skip checking each file.
        if stored <= seen and not walk.files:
            return 0
        return len(Prune(walk).find(table)[0])

    try:
        return persistence.run(find)
    except InputError:  # an unreadable folder is already reported as a failure
        return 0


def _prune(index: IndexStore, persistence: Persistence, pruning: Prune, notify: Notify) -> int:
    """Report how many files are gone, then delete their rows and failures."""
    table = index.table
    connection, dialect = table.connection, table.dialect
    try:
        ids, failures = persistence.run(lambda: pruning.find(index.table))
    except InputError as error:
        notify(f"Pruning nothing: {error}.")
        return 0
    _tell_empty(pruning, table.name, notify)
    if ids:
        images = "image whose file is" if len(ids) == 1 else "images whose files are"
        notify(f"Removing {len(ids):,} {images} gone.")
    if failures:
        persistence.run(
            lambda: connection.execute_parts(
                failures, lambda part: dialect.delete_failures(table, part)
            )
        )
    return persistence.run(lambda: delete_rows(index, ids)) if ids else 0


def _tell_empty(pruning: Prune, table: str, notify: Notify) -> None:
    for folder in pruning.empty_folders:
        notify(
            f"Keeping the rows of {folder}, which is empty: is it mounted? "
            f"If its images are gone for good: lookalike remove {folder} --collection {table}"
        )


@contextmanager
def _recorded(index: IndexStore, persistence: Persistence, run: _Run) -> Iterator[None]:
    """Record what the block does and how it ends."""
    table = index.table
    connection, dialect = table.connection, table.dialect
    persistence.run(lambda: connection.execute(dialect.start_run(table)))
    problem: str | None = "interrupted"
    try:
        yield
        problem = None
    except Exception as error:
        problem = str(error)
        raise
    finally:
        files, tally = run.tally.files, run.tally
        embedded = (files["added"], files["updated"], files["reused"])
        failed = len(tally.failed) + len(tally.failed_before)
        counts = (*embedded, files["unchanged"] + files["moved"], failed, run.removed)
        if problem:  # if it was the server's, retries have already waited for it
            persistence = Persistence(timeout=0)
        with suppress(DatabaseError):
            persistence.run(lambda: connection.execute(dialect.end_run(table, counts, problem)))
