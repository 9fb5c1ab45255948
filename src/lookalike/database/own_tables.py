"""What belongs to a collection in a database: tables that lookalike made, and records in shared
tables. Users may have tables with similar names. Index tables are recognised by their comment, side
tables by their columns and foreign key.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from lookalike.core.errors import DatabaseError, InputError
from lookalike.database.connection import Connection
from lookalike.database.layouts import existing_tables
from lookalike.database.shards import find_shards
from lookalike.database.user_tables import registered_tables
from lookalike.dialects import (
    INDEXES,
    KEYS,
    ONLY_SPREAD,
    SIDE_TABLES,
    WITH_FOREIGN_KEY,
    Dialect,
    Table,
    generation_comment,
    generation_of,
    is_name,
)

TRAINER_SECONDS = 5
"""How long to wait for a client that trains; the server needs a moment to notice a dead one."""

_TOLD = 20


@dataclass(frozen=True)
class OwnTables:
    """The tables that lookalike made for a collection.

    sides: names of the side tables. generations: names of the index tables, each with its
    generation.
    """

    sides: list[str]
    generations: list[tuple[str, int]]

    @property
    def names(self) -> list[str]:
        """The names of all of them."""
        return [*self.sides, *(name for name, _ in self.generations)]


def find_own_tables(connection: Connection, dialect: Dialect, name: str) -> OwnTables:
    """Return the tables that belong to the table `name`, whether or not it exists itself."""
    return OwnTables(
        _side_tables(connection, dialect, name), _generations(connection, dialect, name)
    )


def noted_in(connection: Connection, dialect: Dialect, name: str) -> list[tuple[str, str]]:
    """Return those of `KEYS` that have records of a collection."""
    return [
        (shared, key)
        for shared, key in shared_tables(connection, dialect)
        if connection.value(dialect.is_noted(name, shared, key))
    ]


def shared_tables(connection: Connection, dialect: Dialect) -> list[tuple[str, str]]:
    """Return those of `KEYS` that exist in the database."""
    found = existing_tables(connection, dialect, [])
    return [(shared, key) for shared, key in KEYS if shared in found]


def _side_tables(connection: Connection, dialect: Dialect, name: str) -> list[str]:
    candidates = {f"{name}{suffix}": suffix for suffix in SIDE_TABLES}
    columns: dict[str, set[str]] = {}
    for table, column in connection.query(dialect.columns_of(list(candidates))):
        columns.setdefault(table, set()).add(column)
    is_spread = bool(find_shards(connection, dialect, name))
    referring = {row[1] for row in connection.query(dialect.references([name]))}
    return [
        table
        for table, suffix in candidates.items()
        if columns.get(table) == SIDE_TABLES[suffix]
        and (
            is_spread
            or (suffix not in ONLY_SPREAD and suffix not in WITH_FOREIGN_KEY)
            or table in referring
        )
    ]


def _generations(connection: Connection, dialect: Dialect, name: str) -> list[tuple[str, int]]:
    """Return an index's tables; after an interrupted renaming their comments have the old name."""
    marks, found = {name, *_without_table(connection, dialect)}, []
    for table, comment in connection.query(dialect.generation_tables(Table(name))):
        _, number = generation_of(name, table) or ("", 0)
        if number and comment in {generation_comment(mark, number) for mark in marks}:
            found.append((table, number))
    return found


def _without_table(connection: Connection, dialect: Dialect) -> set[str]:
    """Return the names of collections that have a recorded index but no table any more."""
    if INDEXES not in existing_tables(connection, dialect, []):
        return set()
    names = [row[0] for row in connection.query(dialect.indexed_names())]
    there = connection.query(dialect.existing_tables(names)) if names else []
    return set(names) - {row[0] for row in there}


def unknown(connection: Connection, dialect: Dialect, name: str) -> InputError:
    """Return the error for an unknown collection; it lists the existing ones."""
    names = [row[0] for row in connection.query(dialect.collection_names()) if is_name(row[0])]
    names = sorted({*names, *(table.name for table in registered_tables(connection, dialect))})
    start = f"there is no collection {name!r} in {connection.url.database}"
    if close := get_close_matches(name, names, n=1):
        return InputError(f"{start}; did you mean {close[0]}?")
    if not names:
        return InputError(f"{start}; it has no collections yet: lookalike add FOLDER")
    told = ", ".join(names[:_TOLD]) + (", ..." if len(names) > _TOLD else "")
    return InputError(f"{start}; the collections are: {told}")


@contextmanager
def no_training(
    connection: Connection, dialect: Dialect, name: str, seconds: int = TRAINER_SECONDS
) -> Iterator[None]:
    """Keep other clients from training a collection's index; wait so long for one that trains.

    Raises DatabaseError if it has not finished then.
    """
    lock = dialect.trainer_lock(Table(name), seconds)
    with connection.named_lock(lock, dialect.trainer_unlock(Table(name))) as is_ours:
        if not is_ours:
            raise DatabaseError(
                f"another client is training the index of {name!r}; try again when it has finished"
            )
        yield
