"""Change an attribute in all rows: drop it, or make it a number again.

Whoever stores values of an attribute notes its kinds first, in the same transaction, and so holds a
lock on the notes. A change takes this lock before it reads a row: then it sees the rows of everyone
who came before, and whoever comes later waits.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial

from lookalike.attributes.catalog import find_attributes
from lookalike.attributes.files import NUMBER
from lookalike.core.errors import InputError
from lookalike.core.facts import FACTS, LOCATION
from lookalike.database.errors import MissingTable
from lookalike.database.retry import Persistence
from lookalike.database.table import VectorTable
from lookalike.dialects import Attribute, Kind, attribute_index

_BATCH = 1000
_INDEXED: tuple[Kind, ...] = ("text", "number", "list")
_SPELLING = rf"\A{NUMBER.pattern}\z".replace(r"\d", "[0-9]")  # for JSON, no digits of other scripts


def drop_attribute(table: VectorTable, name: str, *, dry_run: bool = False) -> int:
    """Remove an attribute from all rows, and its database indexes; return how many rows had it.

    Killed half-way, the same call finishes. Raises InputError for an unknown attribute and for a
    user's own column, which stays.
    """
    attribute = find_attributes(table, [name])[name]
    if attribute.is_column:
        raise InputError(
            f"{attribute.name} is a column of your own in table {table.title!r}: remove it "
            f"yourself with ALTER TABLE {table.name} DROP COLUMN `{attribute.name}`"
        )
    if dry_run:
        return len(table.connection.query(table.dialect.ids_with_attribute(table, attribute)))
    _drop_indexes(table, attribute)
    return Persistence().run(partial(_drop, table, attribute))


def _drop_indexes(table: VectorTable, attribute: Attribute) -> None:
    connection, dialect = table.connection, table.dialect
    there = {row[0] for row in connection.query(dialect.indexed_columns(table))}
    for index in (attribute_index(attribute, kind) for kind in _INDEXED):
        if index in there:
            connection.alter(dialect.drop_index(table, index))


def _drop(table: VectorTable, attribute: Attribute) -> int:
    connection, dialect = table.connection, table.dialect
    with connection.transaction():
        connection.execute(dialect.forget_attribute(table, attribute.name))
        ids = [row[0] for row in connection.query(dialect.ids_with_attribute(table, attribute))]
        for part in _parts(ids):
            connection.execute(dialect.remove_attribute(table, attribute, part))
        if attribute.name in (*FACTS, *LOCATION):
            with suppress(MissingTable):
                connection.execute(dialect.forget_fact(table, attribute.name))
    return len(ids)


def numbers_again(table: VectorTable, names: Iterable[str], *, are_cells: bool) -> set[str]:
    """Make attributes numbers again whose values are all numbers; return the names of these.

    names: keys that had values of several kinds, among them numbers. are_cells: whether texts that
    spell numbers count as such, and become them: the cells of a CSV file have no type of their own.
    """
    turn = partial(_number_again, table, are_cells=are_cells)
    return {name for name in names if Persistence().run(partial(turn, name))}


def _number_again(table: VectorTable, name: str, *, are_cells: bool) -> bool:
    connection, dialect = table.connection, table.dialect
    attribute = Attribute(name, frozenset({"number"}), is_column=False)
    with connection.transaction():
        connection.query(dialect.lock_noted_attribute(table, name))
        spelling = _SPELLING if are_cells else None
        if connection.query(dialect.other_than_numbers(table, attribute, spelling)):
            return False
        texts = connection.query(dialect.ids_with_text(table, attribute)) if are_cells else []
        for part in _parts([row[0] for row in texts]):
            connection.execute(dialect.make_numbers(table, attribute, part))
        connection.execute(dialect.forget_attribute(table, name, kept=["number"]))
    return True


def _parts(ids: Sequence[int]) -> Iterable[Sequence[int]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
