"""Take images out of a collection, alone or with their files, and put them back."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from lookalike.core.errors import InputError
from lookalike.core.remote import located
from lookalike.core.removals import Removed, RemovedFile, RestoreReport, TakenFile, TakenRow
from lookalike.core.types import Failure, ImageRecord
from lookalike.database.table import VectorTable
from lookalike.index.store import IndexStore
from lookalike.removal.files import Stays, put_back_file, trash_file
from lookalike.removal.rows import Pair, hindrances, put_back_rows, take_rows


def take_out(index: IndexStore, ids: Sequence[int], files: Sequence[RemovedFile] = ()) -> Removed:
    """Take rows out, all or none; files: where their files are now."""
    return removed_of(index.table, take_rows(index, ids), files)


def removed_of(
    table: VectorTable, rows: Sequence[TakenRow], files: Sequence[RemovedFile] = ()
) -> Removed:
    """Return what `put_back` needs of rows that were taken out."""
    records = tuple(_record(table, row) for row in rows)
    return Removed(table.title, records, tuple(files), rows=tuple(rows))


def _record(table: VectorTable, row: TakenRow) -> ImageRecord:
    name = row.columns.get(table.name_column or "")
    return ImageRecord(row.id, name or "", row.file.path if row.file else None)


def trash(index: IndexStore, ids: Sequence[int]) -> Removed:
    """Move files to the system's trash, then take their rows out; on an error, neither."""
    table = index.table
    rows: list[tuple[int, TakenFile]] = []
    if table.has_files:
        found = table.connection.query_parts(
            list(ids), lambda part: table.dialect.files(table, part)
        )
        rows = [(row_id, TakenFile(located(path), *others)) for row_id, path, *others in found]
    files: list[RemovedFile] = []
    failed: list[Failure] = []
    stored = dict(rows)
    try:
        for row_id, file in rows:
            try:
                files.append(trash_file(row_id, file.path, file.content_hash))
            except Stays as reason:
                failed.append(Failure(file.path, str(reason)))
        taken = take_rows(index, [file.id for file in files])
    except BaseException:
        for moved in files:
            with suppress(Stays):
                put_back_file(moved, stored[moved.id])
        raise
    without_file = tuple(row_id for row_id in ids if row_id not in stored)
    return replace(removed_of(table, taken, files), failed=tuple(failed), without_file=without_file)


def put_back(index: IndexStore, removed: Removed, waiting: set[Pair]) -> RestoreReport:
    """Put files back where they were, then rows with their ids; tell which could not be.

    waiting: as in `put_back_rows`. Raises InputError for images of another collection.
    """
    table = index.table
    if removed.collection != table.title:
        raise InputError(
            f"these images were taken out of {removed.collection!r}, not of {table.title!r}"
        )
    rows = list(removed.rows)
    lengths = {len(row.columns[table.embedding_column] or b"") for row in rows}
    if not lengths <= {0, 4 * table.dim}:
        raise InputError(f"{table.title!r} has another model now: add the files again")
    failed = hindrances(table, rows) if rows else {}
    moved = {file.id: file for file in removed.files}
    for row in rows:
        if row.id in failed or row.id not in moved or row.file is None:
            continue
        try:
            put_back_file(moved[row.id], row.file)
        except Stays as reason:
            failed[row.id] = str(reason)
    free = [row for row in rows if row.id not in failed]
    if free:
        failed |= put_back_rows(index, free, waiting)
    return RestoreReport(tuple(row.id for row in free if row.id not in failed), failed)
