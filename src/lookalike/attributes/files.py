"""Attributes files: CSV, JSON lines and Parquet, read and checked before anything is stored.

One row per image: the column `path` names it, every other column is an attribute.
"""

import csv
import datetime
import decimal
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lookalike.core.arguments import wrong
from lookalike.core.errors import InputError, MissingExtra
from lookalike.core.paths import expand_user
from lookalike.dialects import ATTRIBUTE_NAME, MAX_TEXT, NAME_RULE, Kind, is_utf8

Value = str | int | float | bool | list[str] | None
AttributeSource = str | os.PathLike[str] | Iterable[Mapping[str, Any]]
"""An attributes file, or rows: mappings with a "path"."""

KEY = "path"
LIST = "tags"
"""The column of a CSV file that is a list, its items separated by |."""

MAX_INTEGER = 2**53
"""JSON numbers are compared as float64, which cannot distinguish larger integers."""

RESERVED_NAMES = ("id", "image_name", "embedding", "attributes")
NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?([eE][+-]?\d{1,2})?")
_SUFFIXES = ".csv, .tsv, .jsonl, .ndjson, .json (an object a line) or .parquet"


@dataclass(frozen=True, slots=True)
class AttributeRow:
    """Attributes of one image.

    place: its place in the file, such as "line 7". path: as in the file. values: by name; None
    removes an attribute. written: a CSV file's own spelling of numbers that Python would write
    differently, such as 1.50.
    """

    place: str
    path: str
    values: dict[str, Value]
    written: dict[str, str]


@dataclass(frozen=True)
class AttributeTable:
    """Rows of an attributes file; relative paths start at its folder.

    are_cells: whether values are cells of a CSV file, whose kind is that of their whole column.
    """

    name: str
    folder: Path
    rows: list[AttributeRow]
    are_cells: bool = False


def kind_of(value: Value) -> Kind | None:
    """Return the kind of a value, None for a missing one."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, list):
        return "list"
    return "text" if isinstance(value, str) else "number"


def read_attributes(source: AttributeSource) -> AttributeTable:
    """Read and check an attributes file: CSV, JSON lines or Parquet.

    Args:
        source: A file, or rows: mappings with a "path".

    Raises:
        InputError: A line is not valid; the message names it.
        MissingExtra: pyarrow is needed for a Parquet file.
    """
    if not isinstance(source, str | os.PathLike):
        numbered: _Read = ((f"row {number}", dict(row), {}) for number, row in enumerate(source, 1))
        return _checked("the rows", Path.cwd(), numbered)
    file = expand_user(source)
    read = _READERS.get(file.suffix.lower())
    if read is None:
        raise InputError(f"{source} is not an attributes file: give {_SUFFIXES}")
    try:
        table = _checked(str(source), file.parent.absolute(), read(file))
        return replace(table, are_cells=read is _read_csv)
    except OSError as error:
        raise InputError(f"cannot read {source}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{source} is not UTF-8: save it as UTF-8 ({error})") from error


def rows_of(attributes: Sequence[Mapping[str, Any]]) -> AttributeTable:
    """Return the attributes of rows, one mapping a row, checked. Raises InputError."""
    rows = []
    for number, values in enumerate(attributes, 1):
        place = f"row {number}"
        if not isinstance(values, Mapping):
            raise wrong(f"the attributes, {place}", values, "a dict")
        try:
            checked = {_name(key): _value(key, value) for key, value in values.items()}
        except InputError as error:
            raise InputError(f"the attributes, {place}: {error}") from error
        rows.append(AttributeRow(place, "", checked, {}))
    return AttributeTable("the attributes", Path.cwd(), rows)


_Read = Iterable[tuple[str, dict[str, Any], dict[str, str]]]


def _checked(name: str, folder: Path, read: _Read) -> AttributeTable:
    rows: list[AttributeRow] = []
    for place, values, written in read:
        try:
            path = _path(values)
            checked = {_name(key): _value(key, value) for key, value in values.items()}
        except InputError as error:
            raise InputError(f"{name}, {place}: {error}") from error
        rows.append(AttributeRow(place, path, checked, written))
    if not any(row.values for row in rows):
        what = f"no column besides {KEY}" if rows else "no rows"
        raise InputError(f"{name} has {what}: nothing to store")
    return AttributeTable(name, folder, rows)


def _path(values: dict[str, Any]) -> str:
    """Remove the path from a row's values and return it."""
    path = str(values.pop(KEY, None) or "").strip()
    if not path:
        has = ", ".join(map(str, values)) or "nothing"
        raise InputError(f"the image's {KEY} is missing (the row has {has})")
    if "\0" in path:
        raise InputError(f"{path!r} is not a {KEY}")
    return _utf8(KEY, path)


def _name(name: object) -> str:
    if not isinstance(name, str) or not ATTRIBUTE_NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be an attribute's name: {NAME_RULE}")
    if name.lower() in RESERVED_NAMES:
        raise InputError(f"{name} is the collection's own column: name it product_{name.lower()}")
    return name


def _value(name: str, value: Any) -> Value:
    """Return a value as stored. Raises InputError for unsupported values."""
    value = plain(value)
    if isinstance(value, list | tuple):
        items = [plain(item) for item in value]
        if not all(isinstance(item, str | int | float) for item in items):
            raise InputError(f"{name}: a list can hold only texts and numbers, not {value!r}")
        texts = [_utf8(name, item) if isinstance(item, str) else json.dumps(item) for item in items]
        if long := [text for text in texts if len(text) > MAX_TEXT]:
            raise InputError(
                f"{name}: an item has {len(long[0])} characters; the limit is {MAX_TEXT}"
            )
        return list(dict.fromkeys(texts))
    if isinstance(value, str):
        return _utf8(name, value)
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else _refused(name, value)
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        shown = str(value)[:40]
        raise InputError(
            f"{name}: {shown} is too large to store as a number; write it as text, in quotes"
        )
    return value if value is None or isinstance(value, int | float) else _refused(name, value)


def _utf8(name: str, text: str) -> str:
    if not is_utf8(text):
        raise InputError(f"{name}: {text[:60]!r} is not UTF-8")
    return text


def _refused(name: str, value: object) -> Value:
    shown = str(value)[:60]
    raise InputError(f"{name}: {shown} is not text, a number, true, false or a list")


def plain(value: Any) -> Any:
    """Convert a value of numpy, pandas or the standard library to a JSON value."""
    if hasattr(value, "tolist"):  # numpy's arrays and numbers
        value = value.tolist()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return float(value) if isinstance(value, decimal.Decimal) else value


# CSV.


def _read_csv(file: Path) -> _Read:
    with file.open(encoding="utf-8-sig", newline="") as lines:
        first = lines.readline()
        lines.seek(0)
        # Spreadsheets in countries with a decimal comma write semicolons.
        delimiter = max(",;\t", key=first.count)
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        records = list(_records(file, reader))
    if not records:
        return
    header = _header(file, records[0][1])
    cells: list[tuple[str, list[str]]] = []
    for place, record in records[1:]:
        if len(record) != len(header):
            raise InputError(
                f"{file}, {place}: expected {len(header)} values as in the header, found "
                f"{len(record)}; put a value that contains a comma in quotes"
            )
        cells.append((place, record))
    has_comma = delimiter == ";"
    columns = [
        _typed(name, [cell[i] for _, cell in cells], has_comma=has_comma)
        for i, name in enumerate(header)
    ]
    for (place, record), values in zip(cells, zip(*columns, strict=True), strict=True):
        written = {
            name: cell
            for name, cell, value in zip(header, record, values, strict=True)
            if isinstance(value, int | float) and str(value) != cell
        }
        yield place, dict(zip(header, values, strict=True)), written


def _records(file: Path, reader: Any) -> Iterator[tuple[str, list[str]]]:
    """Yield the non-empty records, each with the line on which it begins."""
    line = 1
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield f"line {line}", [cell.strip() for cell in record]
            line = reader.line_num + 1
    except csv.Error as error:
        raise InputError(f"{file}, line {line}: {error}") from error


def _header(file: Path, names: list[str]) -> list[str]:
    for number, name in enumerate(names, 1):
        if not name:
            raise InputError(
                f"{file}: column {number} has no name; give it one or leave the column out "
                "(pandas: to_csv(..., index=False))"
            )
        if name in names[: number - 1]:
            raise InputError(f"{file}: two columns are named {name!r}")
        try:
            _name(name)
        except InputError as error:
            raise InputError(f"{file}: {error}") from error
    if KEY not in names:
        raise InputError(
            f"{file} needs a column {KEY!r} with each image's path; it has {', '.join(names)}"
        )
    return names


def _typed(name: str, cells: Sequence[str], *, has_comma: bool) -> Sequence[Value]:
    """Convert a column's cells to the one type that fits them all; an empty cell is None.

    has_comma: whether numbers may have a decimal comma.
    """
    if name == KEY:
        return cells
    if name == LIST:
        return [
            [item.strip() for item in c.split("|") if item.strip()] if c else None for c in cells
        ]
    filled = [cell for cell in cells if cell]
    pointed = cells
    if has_comma and not any("." in cell for cell in filled):
        pointed = [cell.replace(",", ".") for cell in cells]
    if all(NUMBER.fullmatch(cell) for cell in pointed if cell):
        return [_number(cell) if cell else None for cell in pointed]
    if all(cell.lower() in ("true", "false") for cell in filled):
        return [cell.lower() == "true" if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _number(cell: str) -> int | float:
    return int(cell) if cell.lstrip("-").isdecimal() else float(cell)


# JSON lines and Parquet.


def _read_json_lines(file: Path) -> _Read:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line, parse_constant=_no_constant)
            except ValueError as error:
                what = "write one JSON object per line"
                raise InputError(f"{file}, line {number}: {error}; {what}") from error
            if not isinstance(row, dict):
                raise InputError(f"{file}, line {number}: not a JSON object; write one per line")
            yield f"line {number}", row, {}


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _read_parquet(file: Path) -> _Read:
    if not all(map(find_spec, ("pandas", "pyarrow"))):
        raise MissingExtra("parquet", f"reading {file.name}")
    import pandas as pd

    with file.open("rb") as content:
        try:
            frame = pd.read_parquet(content, engine="pyarrow")
        except (ValueError, TypeError) as error:  # includes pyarrow's errors
            raise InputError(f"{file} is not a Parquet file: {error}") from error
    names = list(frame.columns)
    for number, row in enumerate(frame.astype(object).itertuples(index=False, name=None), 1):
        values = [None if _is_missing(pd.isna(value)) else value for value in row]
        yield f"row {number}", dict(zip(names, values, strict=True)), {}


def _is_missing(answer: object) -> bool:
    """Whether pandas reports a value as missing; for a list it answers per item."""
    return isinstance(answer, bool) and answer


_READERS: dict[str, Callable[[Path], _Read]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".json": _read_json_lines,
    ".parquet": _read_parquet,
}
