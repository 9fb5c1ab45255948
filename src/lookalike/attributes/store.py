"""Store attributes from files: match rows with images, store all rows or none."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from lookalike.attributes.catalog import column_types, known_attributes, unless_there
from lookalike.attributes.changes import numbers_again
from lookalike.attributes.conditions import text_of
from lookalike.attributes.files import AttributeRow, AttributeTable, kind_of
from lookalike.core.errors import ConnectionFailed, DatabaseError, InputError
from lookalike.core.paths import absolute, expand_user
from lookalike.core.remote import is_remote
from lookalike.core.reports import AttributesReport
from lookalike.database.errors import Busy, Deadlock
from lookalike.database.table import VectorTable
from lookalike.dialects import Attribute, Kind, Lock, Statement
from lookalike.index.rows import stored_name

_BATCH = 1000
_ATTEMPTS = 20
_SHOWN = 3
_SHOWN_AS: dict[Kind, str] = {
    "text": "texts",
    "number": "numbers",
    "boolean": "true or false",
    "list": "lists",
}


def store_attributes(
    table: VectorTable,
    given: AttributeTable,
    folders: Sequence[str | os.PathLike[str]] = (),
) -> AttributesReport:
    """Store the attributes of a file, all or none.

    A row's path may be relative to the file's folder or to one of `folders`, absolute, or a stored
    image_name. Raises InputError, naming the line, if no row's image is stored, two rows match one
    image, or a value does not fit a column.
    """
    connection, dialect = table.connection, table.dialect
    match = partial(_match, table, given, [Path(folder) for folder in folders])
    found, unmatched = match()
    if not found:
        raise _nothing_matches(given, unmatched, table.name)
    plan = Plan(table, given, [row for _, row in found])
    with writing(table, plan):
        # Match again, under locks: rows may have been deleted and their ids reused.
        found, unmatched = match(lock="update")
        plan.write(found)
    kinds = plan.kinds()
    mixed = [name for name in kinds if len(kinds[name]) > 1 and "number" in kinds[name]]
    kinds |= {name: {"number"} for name in numbers_again(table, mixed, are_cells=given.are_cells)}
    told = sorted(plan.given_kinds)
    return AttributesReport(
        rows=len(given.rows),
        stored=len(found),
        unmatched=tuple(unmatched),
        without=max(0, int(connection.value(dialect.count_rows(table))) - len(found)),
        kinds={name: "/".join(sorted(kinds[name])) for name in told},
    )


@contextmanager
def update_attributes(
    table: VectorTable, given: AttributeTable | None
) -> Iterator[Callable[[Sequence[int]], None]]:
    """Open a transaction; yield a function that sets attributes by ids, one row of `given` each.

    Raises InputError, before the transaction begins, for a value that does not fit a column.
    """
    plan = Plan(table, given, given.rows) if given else None

    def write(ids: Sequence[int]) -> None:
        if plan and given:
            plan.write(list(zip(ids, given.rows, strict=True)))

    with writing(table, plan):
        yield write


@contextmanager
def writing(table: VectorTable, plan: "Plan | None") -> Iterator[None]:
    """Open a transaction that begins with the notes of the plan.

    Where an attribute was just dropped, several writers may wait for its notes, and then for one
    another: the server ends all of them but one, before anything else was done.
    """
    for attempt in count(1):
        with table.connection.transaction():
            try:
                if plan:
                    plan.note()
            except Deadlock:
                if attempt == _ATTEMPTS:
                    raise
                continue
            yield
            return


def attributes_of(table: VectorTable, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the attributes of rows by id, without empty ones; unknown ids are skipped."""
    if not ids:
        return {}
    types = column_types(table)
    columns = [each for each in known_attributes(table) if each.is_column]
    has_json = types.get("attributes") == "json"
    names = [*(column.name for column in columns), *(["attributes"] if has_json else [])]
    rows = table.connection.query_parts(
        list(ids), lambda part: table.dialect.attributes_of(table, names, part)
    )
    found: dict[int, dict[str, Any]] = {}
    for row_id, *values in rows:
        own = zip(columns, values, strict=False)
        found[row_id] = {
            column.name: read_column(column, value) for column, value in own if value is not None
        }
        if has_json and values[-1] is not None:
            found[row_id] = json.loads(values[-1]) | found[row_id]
    return found


def read_column(column: Attribute, value: Any) -> Any:
    """Return a column's value as an attribute value."""
    if "list" in column.kinds:
        return json.loads(value)
    if "boolean" in column.kinds:
        return bool(value)
    if isinstance(value, Decimal):
        return float(value)
    return value if isinstance(value, int | float | str) else str(value)


class Plan:
    """How to store rows of attributes: the columns, and the kinds of their values."""

    def __init__(
        self, table: VectorTable, given: AttributeTable, rows: Sequence[AttributeRow]
    ) -> None:
        self._table = table
        self._given = given
        self._known = known_attributes(table)
        self._columns = {a.name.casefold(): a for a in self._known if a.is_column}
        for row in rows:
            _check_columns(given, row, self._columns, table.name)
        self.given_kinds = _kinds(rows)
        self._in_json = {
            name for row in rows for name in row.values if name.casefold() not in self._columns
        }
        if self._in_json:
            _require_json(table)

    def note(self) -> None:
        """Note the kinds of keys: the first statement of the caller's transaction.

        Its lock keeps others from changing these keys in all rows until the transaction ends.
        """
        table = self._table
        noted = [
            (name, kind)
            for name in sorted(self.given_kinds)  # in one order, so that writers wait in turn
            if name in self._in_json
            for kind in sorted(self.given_kinds[name])
        ]
        table.connection.execute_parts(
            noted, lambda part: table.dialect.note_attributes(table, part)
        )

    def write(self, found: Sequence["_Found"]) -> None:
        """Set the attributes of rows by id, in the caller's transaction, after `note`."""
        for batch in _batches(found, self._columns):
            _update(self._table, self._given, batch)

    def kinds(self) -> dict[str, set[Kind]]:
        """Return the kinds of each attribute's values, including those stored before."""
        kinds = {name: set(given) for name, given in self.given_kinds.items()}
        for attribute in self._known:
            if attribute.name in self._in_json:
                kinds.setdefault(attribute.name, set()).update(attribute.kinds)
        return kinds


def _nothing_matches(given: AttributeTable, unmatched: Sequence[str], table: str) -> InputError:
    some = ", ".join(unmatched[:_SHOWN]) + (", ..." if len(unmatched) > _SHOWN else "")
    return InputError(
        f"no path in {given.name} is an image stored in {table!r} ({some}): paths are "
        f"relative to {given.folder}, or to the folders given with the file"
    )


def _kinds(rows: Sequence[AttributeRow]) -> dict[str, set[Kind]]:
    kinds: dict[str, set[Kind]] = defaultdict(set)
    for row in rows:
        for name, value in row.values.items():
            kind = kind_of(value)
            if kind is not None:
                kinds[name].add(kind)
    return kinds


def _require_json(table: VectorTable) -> None:
    """Create the column for the attributes; this is instant on a table of any size."""
    connection, dialect = table.connection, table.dialect
    for statement in (*dialect.create_schema(), dialect.create_attributes()):
        connection.execute(statement)
    there = column_types(table).get("attributes")
    if there is None:
        unless_there(table, dialect.add_attributes_column(table))
    elif there != "json":
        raise InputError(
            f"the column attributes of {table.title!r} has type {there}, and lookalike needs it "
            "for its own JSON: rename your column, or give each attribute a column of its own"
        )


class _Paths:
    """Resolves a row's path to the stored paths that it may mean, with folder links resolved."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._resolved: dict[Path, Path] = {}

    def of(self, path: str) -> list[str]:
        if is_remote(path):
            return [absolute(path)]
        whole = [folder / expand_user(path) for folder in self._folders]
        return list(dict.fromkeys(self._resolve(each) for each in whole))

    def _resolve(self, path: Path) -> str:
        if path.parent not in self._resolved:
            self._resolved[path.parent] = expand_user(path.parent).resolve()
        return str(self._resolved[path.parent] / path.name)


_Found = tuple[int, AttributeRow]


def _match(
    table: VectorTable,
    given: AttributeTable,
    folders: Sequence[Path],
    lock: Lock = "",
) -> tuple[list[_Found], list[str]]:
    """Return (id, row) for rows whose image is stored, and descriptions of the others."""
    paths = _Paths([given.folder, *folders])
    found: dict[int, AttributeRow] = {}
    unmatched: list[str] = []
    for start in range(0, len(given.rows), _BATCH):
        rows = given.rows[start : start + _BATCH]
        by_path = _ids_by_path(table, rows, paths, lock) if table.has_files else {}
        by_name = _ids_by_name(table, [row for row in rows if row.path not in by_path], lock)
        for row in rows:
            ids = by_path.get(row.path) or by_name.get(stored_name(row.path), [])
            if len(ids) != 1:
                several = " (several images have this name)" if ids else ""
                unmatched.append(f"{row.place}: {row.path}{several}")
                continue
            other = found.setdefault(ids[0], row)
            if other is not row:
                raise InputError(
                    f"{given.name}, {row.place}: {row.path} is the same image as in {other.place}"
                )
    return list(found.items()), unmatched


def _ids_by_path(
    table: VectorTable, rows: Sequence[AttributeRow], paths: _Paths, lock: Lock
) -> dict[str, list[int]]:
    wanted = {row.path: paths.of(row.path) for row in rows}
    candidates = sorted({path for several in wanted.values() for path in several})
    known: dict[str, int] = {}
    for start in range(0, len(candidates), _BATCH):
        found = table.connection.query_parts(
            candidates[start : start + _BATCH],
            lambda part: table.dialect.known_files(table, part, lock=lock),
        )
        known |= {row[0]: row[1] for row in found}
    first = {
        path: next((known[each] for each in several if each in known), None)
        for path, several in wanted.items()
    }
    return {path: [row_id] for path, row_id in first.items() if row_id is not None}


def _ids_by_name(
    table: VectorTable, rows: Sequence[AttributeRow], lock: Lock
) -> dict[str, list[int]]:
    names = sorted({stored_name(row.path) for row in rows})
    ids: dict[str, list[int]] = defaultdict(list)
    found = table.connection.query_parts(
        names, lambda part: table.dialect.ids_by_names(table, part, lock=lock)
    )
    for row_id, name in found:
        ids[name].append(row_id)
    return ids


def _check_columns(
    given: AttributeTable, row: AttributeRow, columns: Mapping[str, Attribute], table: str
) -> None:
    """Raise InputError if a value does not fit the user's own column."""
    for name, value in row.values.items():
        column = columns.get(name.casefold())
        kind = kind_of(value)
        if column is None or kind is None or kind in column.kinds:
            continue
        if "text" in column.kinds and kind != "list":
            continue
        takes = " or ".join(_SHOWN_AS[each] for each in sorted(column.kinds))
        raise InputError(
            f"{given.name}, {row.place}: {name} is {value!r}; column {column.name} of {table!r} "
            f"takes {takes}"
        )


_Batch = tuple[list[Attribute], tuple[str, ...], Sequence[_Found]]
"""Columns to set, as the file names them, and rows."""


def _batches(found: Sequence[_Found], columns: Mapping[str, Attribute]) -> Iterator[_Batch]:
    """Yield batches of rows that set the same columns."""
    alike: dict[tuple[str, ...], list[_Found]] = defaultdict(list)
    for row_id, row in found:
        if row.values:
            own = tuple(sorted(name for name in row.values if name.casefold() in columns))
            alike[own].append((row_id, row))
    for own, rows in alike.items():
        for start in range(0, len(rows), _BATCH):
            yield [columns[name.casefold()] for name in own], own, rows[start : start + _BATCH]


def _update(table: VectorTable, given: AttributeTable, batch: _Batch) -> None:
    columns, own, rows = batch
    try:
        table.connection.execute_parts(rows, lambda part: _statement(table, (columns, own, part)))
    except (ConnectionFailed, Busy):  # the transaction is gone: single rows cannot be tried
        raise
    except DatabaseError as error:
        for row in rows:  # find the row at fault
            try:
                table.connection.execute(_statement(table, (columns, own, [row])))
            except DatabaseError as its_own:
                place = f"{given.name}, {row[1].place}"
                raise DatabaseError(f"{place}: {its_own}", code=its_own.code) from error
        raise


def _statement(table: VectorTable, batch: _Batch) -> Statement:
    columns, own, rows = batch
    others = [
        {name: value for name, value in row.values.items() if name not in own} for _, row in rows
    ]
    changes = [
        (
            row_id,
            json.dumps(patch, ensure_ascii=False) if any(others) else None,
            *(_bound(row, name, column) for name, column in zip(own, columns, strict=True)),
        )
        for (row_id, row), patch in zip(rows, others, strict=True)
    ]
    names = [column.name for column in columns]
    return table.dialect.update_attributes(table, names, changes)


def _bound(row: AttributeRow, name: str, column: Attribute) -> str | int | float | None:
    """Return a value for a user's own column."""
    value = row.values[name]
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False)
    if value is None or "text" not in column.kinds:
        return value
    return row.written.get(name, text_of(value))
