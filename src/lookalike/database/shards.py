"""Collections that are spread over several servers: what the shards say, and which one is lost."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from lookalike.core.errors import DatabaseError, InputError
from lookalike.database.connection import Connection
from lookalike.database.errors import ShardLost
from lookalike.dialects import ANSWERS, Dialect, Statement, Table


def find_shards(connection: Connection, dialect: Dialect, name: str) -> tuple[str, ...]:
    """Return the servers that a table is spread over, in their order; none for other tables."""
    if not dialect.shard_settings:
        return ()
    notes = connection.query(dialect.shards(name))
    return tuple(filter(None, (dialect.shard_of(note) for (note,) in notes)))


def check_can_spread(connection: Connection, dialect: Dialect, table: Table) -> None:
    """Raise InputError where the server cannot spread this new table over its shards."""
    if not dialect.shard_settings:
        raise InputError(
            f"{connection.url} cannot spread a collection over other servers: MariaDB's Spider can"
        )
    if not connection.value(dialect.can_spread()):
        raise InputError(
            f"{connection.url} has no Spider, which spreads a collection over other servers: have "
            "an administrator run INSTALL SONAME 'ha_spider'"
        )
    if connection.value(dialect.two_phase_commit()):
        raise InputError(
            f"{connection.url} has spider_support_xa = ON, with which a crash loses rows that are "
            "stored already: start it with spider_support_xa = OFF"
        )
    if connection.query(dialect.existing_tables([table.name])):
        return
    # Unsettled ids have their table first: of a creation cut short, shards have empty tables.
    has_begun = bool(connection.query(dialect.existing_tables([f"{table.name}_unsettled"])))
    with _asking(connection, dialect) as ask:
        for shard in table.shards:
            is_there = ask(shard, dialect.has_table_on_shard(table))
            if is_there and (not has_begun or ask(shard, dialect.count_rows_on_shard(table))):
                raise InputError(
                    f"shard {shard} has a table {table.name!r} already: drop it there, or choose "
                    "another name"
                )


def on_all(connection: Connection, statements: Sequence[Statement]) -> None:
    """Run statements, each for another shard, at the same time; raise the first error."""
    with ThreadPoolExecutor(len(statements)) as pool:
        for done in [pool.submit(connection.execute, statement) for statement in statements]:
            done.result()


def count_indexes(connection: Connection, dialect: Dialect, table: Table) -> int:
    """Return the number of shards that have a vector index of their own for the table."""
    with _asking(connection, dialect) as ask:
        return sum(ask(shard, dialect.count_indexes_on_shard(table)) > 0 for shard in table.shards)


@contextmanager
def _asking(connection: Connection, dialect: Dialect) -> Iterator[Callable[[str, str], int]]:
    """Yield a function that returns what a shard answers to a SELECT of one number."""

    def ask(shard: str, sql: str) -> int:
        connection.execute(dialect.on_shard(shard, sql, ANSWERS))
        answer = int(connection.value(dialect.answers()))
        connection.execute(dialect.forget_answers())
        return answer

    with connection.apart():
        connection.execute(dialect.create_answers())
        yield ask


def named(connection: Connection, dialect: Dialect, error: ShardLost) -> ShardLost:
    """Return the error with the name of the shard, which the server leaves out where it hung up."""
    if "data source" in str(error):
        return error
    notes = connection.query_beside(dialect.all_shards())
    for shard in sorted(filter(None, (dialect.shard_of(note) for (note,) in notes))):
        try:
            connection.query_beside(dialect.on_shard(shard, "SELECT 1"))
        except ShardLost as its_own:
            return its_own
        except DatabaseError:
            continue
    return ShardLost(f"{error} (it answers again: repeat it)", code=error.code)
