"""List, filter by and index the attributes of stored images."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from lookalike.attributes.conditions import Where, conditions
from lookalike.attributes.filters import clauses_of, find, names_of, unknown_attribute
from lookalike.core.errors import UnsupportedServer
from lookalike.core.reports import AttributeStatus
from lookalike.database.errors import DuplicateColumn, DuplicateIndex, MissingTable
from lookalike.database.table import VectorTable
from lookalike.dialects import (
    ATTRIBUTE_NAME,
    FOLDER,
    IMAGE_NAME,
    JSON_TYPES,
    MODIFIED,
    PATH,
    SUFFIX,
    Attribute,
    Filter,
    Kind,
    Statement,
    attribute_index,
)

_JSON = "attributes"
"""The column in which lookalike keeps attributes."""
_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "float"}
_NUMBERS |= {"year"}
_TEXTS = {"char", "varchar", "enum", "set", "date", "datetime", "timestamp", "time"}
_LONG_TEXTS = {"tinytext", "text", "mediumtext", "longtext"}
_KINDS = {type_: kind for kind, types in JSON_TYPES.items() for type_ in types}


def known_attributes(table: VectorTable) -> list[Attribute]:
    """Return the user's own columns, and the names that lookalike has stored."""
    types = column_types(table)
    noted: list[tuple[str, Kind]] = []
    if types.get("attributes") == "json":
        with suppress(MissingTable):
            noted = table.connection.query(table.dialect.noted_attributes(table))
    return _columns(table, types) + _keys(noted, types)


def all_attributes(table: VectorTable) -> list[Attribute]:
    """Return all attributes, including those of other programs. Reads the whole table."""
    types = column_types(table)
    stored: list[tuple[str, Kind]] = []
    if types.get("attributes") == "json":
        rows = table.connection.query(table.dialect.stored_attributes(table))
        stored = [(name, _KINDS[type_]) for name, type_, _ in rows if type_ in _KINDS]
    known = known_attributes(table)
    names = {attribute.name for attribute in known}
    return known + [each for each in _keys(stored, types) if each.name not in names]


def count_attributes(table: VectorTable) -> list[AttributeStatus]:
    """Return all attributes by name, with the number of rows that have each.

    Reads the whole table. The kinds are those that its rows have now; an attribute that no row has
    keeps the kinds that it had.
    """
    types, known = column_types(table), known_attributes(table)
    rows: Counter[tuple[str, bool]] = Counter()
    columns = [each for each in known if each.is_column]
    if columns:
        (counts,) = table.connection.query(table.dialect.count_values(table, columns))
        rows.update({(each.name, True): n for each, n in zip(columns, counts, strict=True)})
    stored: list[tuple[str, Kind]] = []
    if types.get("attributes") == "json":
        for name, kind, n in _count_keys(table, [each for each in known if not each.is_column]):
            stored.append((name, kind))
            rows[name, False] += n
    keys = _keys(stored, types)
    names = {each.name for each in keys}
    others = [each for each in known if each.name not in names]
    return [
        AttributeStatus(each.name, "/".join(sorted(each.kinds)), rows[each.name, each.is_column])
        for each in sorted([*keys, *others])
    ]


def _count_keys(table: VectorTable, known: Sequence[Attribute]) -> list[tuple[str, Kind, int]]:
    """Return (name, kind, rows) of the keys of the JSON objects."""
    asked = [(each, kind) for each in known for kind in sorted(each.kinds)]
    ((values, *counts),) = table.connection.query(table.dialect.count_keys(table, asked))
    if values == sum(counts):
        found = zip(asked, counts, strict=True)
        return [(each.name, kind, int(n)) for (each, kind), n in found if n]
    # Other programs have stored other keys or kinds. This takes ten times as long.
    rows = table.connection.query(table.dialect.stored_attributes(table))
    return [(name, _KINDS[type_], int(n)) for name, type_, n in rows if type_ in _KINDS]


def column_types(table: VectorTable) -> dict[str, str]:
    """Return the types of the table's columns; its own columns are named as in `table`."""
    columns = table.connection.query(table.dialect.table_columns(table))
    own = {name.lower(): name for name in _own_columns(table)}
    named: dict[str, str] = dict(columns)
    return {own.get(name.lower(), name): type_ for name, type_ in named.items()}


def _own_columns(table: VectorTable) -> set[str]:
    names = (table.id_column, table.name_column, table.embedding_column, _JSON)
    return {name for name in names if name is not None}


def _columns(table: VectorTable, types: Mapping[str, str]) -> list[Attribute]:
    return [
        Attribute(name, kinds, is_column=True, is_single=type_.startswith("float"))
        for name, type_ in types.items()
        if name not in _own_columns(table) and ATTRIBUTE_NAME.fullmatch(name)
        if (kinds := _kinds_of_column(type_))
    ]


def _kinds_of_column(type_: str) -> frozenset[Kind]:
    word = type_.split("(")[0].split()[0]
    if type_ == "tinyint(1)":
        return frozenset({"number", "boolean"})
    if word == "json":
        return frozenset({"list"})
    if word in _NUMBERS:
        return frozenset({"number"})
    return frozenset({"text"} if word in _TEXTS | _LONG_TEXTS else ())


def _keys(rows: Iterable[tuple[str, Kind]], types: Iterable[str]) -> list[Attribute]:
    """Return the keys of the JSON objects, except those that a column hides."""
    hidden = {name.casefold() for name in types}
    kinds: dict[str, set[Kind]] = defaultdict(set)
    for name, kind in rows:
        if name.casefold() not in hidden and ATTRIBUTE_NAME.fullmatch(name):
            kinds[name].add(kind)
    return [Attribute(name, frozenset(kinds[name]), is_column=False) for name in kinds]


def filter_of(table: VectorTable, where: Where | None) -> Filter | None:
    """Return the filter for these conditions; None if there are none.

    Raises InputError for conditions that cannot be parsed, unknown names, and values of the wrong
    type.
    """
    asked = conditions(where)
    if not asked:
        return None
    found = find_attributes(table, names_of(asked), built_in_names(table))
    return table.dialect.filter(table, clauses_of(asked, found.__getitem__))


def find_attributes(
    table: VectorTable, names: Iterable[str], built_in: Sequence[Attribute] = ()
) -> dict[str, Attribute]:
    """Return attributes by the names that were asked for. Raises InputError for an unknown name.

    built_in: what may be asked for besides the attributes; an attribute of that name goes first.
    """
    asked = list(names)
    known = _with(known_attributes(table), built_in)
    if any(find(name, known) is None for name in asked):
        known = _with(all_attributes(table), built_in)
    found = {}
    for name in asked:
        attribute = find(name, known)
        if attribute is None:
            raise unknown_attribute(name, known, table.title)
        found[name] = attribute
    return found


def _with(known: Sequence[Attribute], built_in: Iterable[Attribute]) -> list[Attribute]:
    return [*known, *(each for each in built_in if find(each.name, known) is None)]


def built_in_names(table: VectorTable) -> list[Attribute]:
    """Return what lookalike itself stores of every image: its name, and what its file is."""
    names = [] if table.name_column is None else [IMAGE_NAME]
    return [
        *names,
        *_own_names(table),
        *([PATH, MODIFIED, FOLDER, SUFFIX] if table.has_files else []),
    ]


def _own_names(table: VectorTable) -> list[Attribute]:
    """Return the key, if it is an integer, and the names of a table of the user's own."""
    found: list[Attribute] = []
    if table.source is None:
        return found
    if table.source.has_integers and not table.source.is_mapped:
        found.append(Attribute(table.id_column, frozenset({"number"}), is_column=True))
    if table.name_column is not None:
        found.append(Attribute(table.name_column, frozenset({"text"}), is_column=True))
    return found


def make_index(table: VectorTable, name: str) -> bool:
    """Index an attribute in the database; return False if it already has an index."""
    connection, dialect = table.connection, table.dialect
    attribute = find_attributes(table, [name])[name]
    if table.shards:
        raise UnsupportedServer(
            f"{table.title!r} is spread over shards, where attributes have no indexes: searches "
            "filter by them without one"
        )
    is_long = attribute.is_column and column_types(table)[attribute.name].split()[0] in _LONG_TEXTS
    indexes = connection.query(dialect.indexed_columns(table))
    made = False
    kinds = _index_kinds(attribute)
    refused = [
        kind
        for kind in kinds
        if kind in dialect.unindexed_kinds and (kind == "list" or not attribute.is_column)
    ]
    if refused:
        what = "lists" if refused == ["list"] else "attributes in JSON"
        raise UnsupportedServer(
            f"{dialect.name} cannot index {what}, as {name!r} has: searches filter by it without "
            "an index"
        )
    for kind in kinds:
        is_there = any(
            index_name == attribute_index(attribute, kind)
            or (attribute.is_column and column == attribute.name)
            for index_name, column in indexes
        )
        if not is_there:
            statement = dialect.create_attribute_index(table, attribute, kind, is_long=is_long)
            made = unless_there(table, statement) or made
    return made


def indexed_attributes(table: VectorTable) -> list[str]:
    """Return the attributes that lookalike has indexed in the database, by name."""
    indexes = {row[0] for row in table.connection.query(table.dialect.indexed_columns(table))}
    return sorted(
        each.name
        for each in known_attributes(table)
        if any(attribute_index(each, kind) in indexes for kind in _index_kinds(each))
    )


def _index_kinds(attribute: Attribute) -> list[Kind]:
    """Return the kinds that need an index each: a column has one type, and a JSON true is text."""
    kinds: set[Kind] = {"text" if kind == "boolean" else kind for kind in attribute.kinds}
    if attribute.is_column and "number" in kinds:
        kinds = {"number"}
    return sorted(kinds)


def unless_there(table: VectorTable, statement: Statement) -> bool:
    """Run a statement that creates something; return False if another process created it first."""
    try:
        table.connection.alter(statement)
    except (DuplicateColumn, DuplicateIndex):
        return False
    return True
