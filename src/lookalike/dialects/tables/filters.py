"""SQL of filters: conditions on the row `v` of a collection's table.

A condition is about an attribute, or about what lookalike itself stores of every image: its name,
and its file's path and modification time, which are in `<collection>_files`.
"""

import ctypes
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeGuard

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import (
    Attribute,
    Kind,
    expression,
    is_of_kind,
    json_type,
    json_value,
)
from lookalike.dialects.tables.files import path_hashes
from lookalike.dialects.tables.shards import ShardsSQL

IMAGE_NAME = Attribute("image_name", frozenset({"text"}), is_column=True, is_built_in=True)
PATH = Attribute("path", frozenset({"text"}), is_column=True, is_built_in=True)
MODIFIED = Attribute("modified", frozenset({"time"}), is_column=True, is_built_in=True)
FOLDER = Attribute("folder", frozenset({"text"}), is_column=True, is_built_in=True)
SUFFIX = Attribute("suffix", frozenset({"text"}), is_column=True, is_built_in=True)

OF_FILE = (PATH, MODIFIED, FOLDER, SUFFIX)
"""What is known of a row's file."""

_FILES_BLOCK = "of_files"


class Comparison(NamedTuple):
    """One test of an attribute's values of one kind.

    operator: in, <, <=, >, >=, `:` (the list holds it), `~` (the text contains it), within (from
    the first value to before the second) or missing (without values). A time is in nanoseconds.
    """

    attribute: Attribute
    kind: Kind
    operator: str
    values: tuple[str | int | float, ...]


class Clause(NamedTuple):
    """One condition: any of the comparisons holds, or, if negated, none does.

    All comparisons are of the same attribute.
    """

    alternatives: tuple[Comparison, ...]
    is_negated: bool


class AnyClause(NamedTuple):
    """Several groups of clauses: those of at least one group all hold."""

    groups: "tuple[tuple[Clause | AnyClause, ...], ...]"


class Filter(NamedTuple):
    """A condition on the row `v` of a collection's table, and the values bound to it.

    Where it is about files alone: hint, for statements that read all rows, has MySQL read the table
    of files first; on_file is the same condition on a row `f` of that table.
    """

    sql: str
    params: tuple[Any, ...]
    hint: str = ""
    on_file: str = ""


def and_(where: Filter | None) -> Filter:
    """Return the filter as SQL to append to another condition; empty for None."""
    return Filter("", ()) if where is None else Filter(f" AND {where.sql}", where.params)


class FiltersSQL(ShardsSQL):
    """Filters of searches, and what they are estimated by."""

    def filter(self, table: Table, clauses: Sequence[Clause | AnyClause]) -> Filter:
        """Return the conjunction of clauses.

        A row without a value matches no condition on it but `missing`.
        """
        parts = [_clause(self, table, clause) for clause in clauses]
        hint = on_file = ""
        about_files = [each for each in clauses if _is_about_files(each)]
        if clauses and len(about_files) == len(clauses):
            # Otherwise MySQL reads the rows with their embeddings, and each one's file.
            named = f"EXISTS (SELECT /*+ QB_NAME({_FILES_BLOCK}) */"
            first = parts[0].sql.replace("EXISTS (SELECT", named, 1)
            parts[0] = Filter(first, parts[0].params)
            hint = f"/*+ JOIN_PREFIX(f@{_FILES_BLOCK}) */ "
            tests = (_any_of(self, table, clause).sql for clause in about_files)
            on_file = " AND ".join(f"({test})" for test in tests)
        return Filter(
            self.on_head(table, " AND ".join(f"({part.sql})" for part in parts)),
            tuple(value for part in parts for value in part.params),
            hint,
            on_file,
        )

    def explain_filter(self, table: Table, where: Filter) -> Statement:
        """Return the EXPLAIN table of the search for matching rows."""
        return Statement(
            f"EXPLAIN FORMAT=TRADITIONAL SELECT {where.hint}v.{table.id}, v.{table.embedding} "
            f"FROM {table.sql} AS v WHERE {where.sql}",
            where.params,
        )

    def matching_ids(self, table: Table, where: Filter, limit: int) -> Statement:
        rows = f"SELECT v.{table.id} FROM {table.sql} AS v WHERE {where.sql}"
        if where.on_file:
            rows = f"SELECT f.id FROM {table.side('_files')} AS f WHERE {where.on_file}"
        return Statement(f"{rows} LIMIT {limit:d}", where.params)

    def sample_filter(
        self,
        table: Table,
        where: Filter,
        ids: Sequence[int],
        *,
        generation: int,
        cells: Sequence[int],
        every: int,
    ) -> Statement:
        """Select (rows, matching rows) among some ids, and among 1 row in `every` of some cells."""
        counts = f"SELECT COUNT(*), COALESCE(SUM({where.sql}), 0)"
        return Statement(
            f"{counts} FROM {table.sql} AS v WHERE v.{table.id} IN ({places(len(ids))})\n"
            f"UNION ALL\n{counts} FROM {table.side(f'_codes_{generation:d}')} AS c "
            f"JOIN {table.sql} AS v ON v.{table.id} = c.id "
            f"WHERE c.cell IN ({places(len(cells))}) AND CRC32(c.id) %% %s = 0",
            (*where.params, *ids, *where.params, *cells, every),
        )


def _is_about_files(clause: Clause | AnyClause) -> TypeGuard[Clause]:
    """Whether a condition says that the row has a file, and something of it."""
    if isinstance(clause, AnyClause):
        return False
    first = clause.alternatives[0]
    return first.attribute in OF_FILE and first.operator != "missing"


def _clause(sql: FiltersSQL, table: Table, clause: Clause | AnyClause) -> Filter:
    if isinstance(clause, AnyClause):
        groups = [sql.filter(table, group) for group in clause.groups]
        return Filter(
            " OR ".join(f"({group.sql})" for group in groups),
            tuple(value for group in groups for value in group.params),
        )
    attribute = clause.alternatives[0].attribute
    is_missing = clause.alternatives[0].operator == "missing"
    if attribute in OF_FILE:
        return _of_file(sql, table, clause, is_missing=is_missing)
    if is_missing:
        return Filter(_missing(sql, table, attribute, is_negated=clause.is_negated), ())
    test = _any_of(sql, table, clause)
    has_types = not attribute.is_column and len(attribute.kinds) > 1
    if clause.is_negated and (has_types or "list" in attribute.kinds):
        # A JSON null; any other missing value gives NULL, and matches no negation either.
        return Filter(f"{test.sql} AND {json_type(attribute)} <> 'NULL'", test.params)
    return test


def _any_of(sql: FiltersSQL, table: Table, clause: Clause) -> Filter:
    parts = [_comparison(sql, table, each) for each in clause.alternatives]
    any_of = " OR ".join(part.sql for part in parts)
    params = tuple(value for part in parts for value in part.params)
    return Filter(f"NOT ({any_of})" if clause.is_negated else any_of, params)


def _of_file(sql: FiltersSQL, table: Table, clause: Clause, *, is_missing: bool) -> Filter:
    """Return the condition that the row has a file, and that it passes; or that it has none."""
    file = f"EXISTS (SELECT 1 FROM {table.side('_files')} AS f WHERE f.id = v.{table.id}"
    if is_missing:
        attribute = clause.alternatives[0].attribute
        is_known = f"{file} AND {file_value(sql, attribute)} IS NOT NULL)"
        return Filter(is_known if clause.is_negated else f"NOT {is_known}", ())
    test = _any_of(sql, table, clause)
    return Filter(f"{file} AND ({test.sql}))", test.params)


def _missing(sql: FiltersSQL, table: Table, attribute: Attribute, *, is_negated: bool) -> str:
    if not attribute.is_column or "list" in attribute.kinds:  # a JSON null is no value
        return f"COALESCE({json_type(attribute)}, 'NULL') {'<>' if is_negated else '='} 'NULL'"
    value = _value(sql, table, attribute, "text")
    return f"{value} IS NOT NULL" if is_negated else f"{value} IS NULL"


def _comparison(sql: FiltersSQL, table: Table, comparison: Comparison) -> Filter:
    attribute, kind, operator, compared = comparison
    value = _value(sql, table, attribute, kind)
    if operator == ":":
        test = sql.json_contains(value)
    elif operator == "~":
        test = f"LOCATE(%s, {_whole(sql, attribute, value)}) > 0"
    elif operator == "within":
        test = f"({value} >= %s AND {value} < %s)"
    elif operator == "in" and attribute == PATH:
        test = f"f.path_hash IN ({path_hashes(compared)})"  # the path itself is in no index
    elif operator == "in" and len(compared) > 1:
        test = f"{value} IN ({places(len(compared))})"
    else:
        test = f"{value} {'=' if operator == 'in' else operator} %s"
    return Filter(_of_kind(attribute, kind, test), _bound(comparison))


def _bound(comparison: Comparison) -> tuple[str | int | float, ...]:
    attribute, kind, _, compared = comparison
    if attribute.is_single:
        return tuple(_single(float(value)) for value in compared)
    if kind == "number" and not attribute.is_column:  # no index on a DOUBLE serves integers
        return tuple(float(value) for value in compared)
    return compared


def _value(sql: FiltersSQL, table: Table, attribute: Attribute, kind: Kind) -> str:
    """Return the SQL whose value is compared."""
    if attribute == IMAGE_NAME:  # a row without a name may have an empty one
        name = sql.exact(f"CONVERT({table.image_name('v.')} USING utf8mb4)")
        return f"NULLIF({name}, '')"
    if attribute in OF_FILE:
        return file_value(sql, attribute)
    return expression(sql, attribute, kind, "v.")


def file_value(sql: Primitives, attribute: Attribute) -> str:
    """Return the SQL of what is known of a file, the row `f` of the table of files.

    Those without a folder or suffix have NULL.
    """
    if attribute == FOLDER:
        folder = "SUBSTRING_INDEX(SUBSTRING_INDEX(f.path, '/', -2), '/', 1)"
        return sql.exact(f"IF(LOCATE('/', f.path, 2) > 0, {folder}, NULL)")
    if attribute == SUFFIX:
        name = "SUBSTRING_INDEX(f.path, '/', -1)"
        suffix = f"IF(LOCATE('.', {name}, 2) > 0, SUBSTRING_INDEX(f.path, '.', -1), NULL)"
        return sql.exact(f"LOWER({suffix})")
    return "f.mtime_ns" if attribute == MODIFIED else "f.path"


def _whole(sql: FiltersSQL, attribute: Attribute, value: str) -> str:
    """Return the SQL of a whole text, compared without letter case; a column decides itself."""
    if not attribute.is_column:
        return sql.folded(f"JSON_UNQUOTE({json_value(attribute)})")
    return sql.folded(value) if attribute.is_built_in else value


def _single(value: float) -> float:
    """Round to float32: MySQL compares as float64, and a stored FLOAT 19.99 is not 19.99."""
    rounded = ctypes.c_float(value).value
    return value if math.isinf(rounded) else rounded


def _of_kind(attribute: Attribute, kind: Kind, sql: str) -> str:
    """Restrict a comparison to its own kind if the attribute has values of several kinds."""
    if attribute.is_column or len(attribute.kinds) == 1:
        return sql
    kinds: tuple[Kind, ...] = ("text", "boolean") if kind == "text" else (kind,)
    return f"({sql} AND {is_of_kind(attribute, *kinds)})"
