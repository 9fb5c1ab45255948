"""Collections that are spread over several servers: what the shards say, and which one is lost."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lookalike.core.errors import DatabaseError, InputError
from lookalike.database.connection import Connection
from lookalike.database.errors import ShardLost
from lookalike.dialects import Dialect, Statement, Table

_TOLD = "lookalike_told"
_COUNT = (
    "SELECT COUNT(*) FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_name = '{name}'"
)


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
    begun = [table.name, f"{table.name}_unsettled"]
    if connection.query(dialect.existing_tables(begun)):
        return
    for shard, n in zip(table.shards, _asked(connection, dialect, table, _COUNT), strict=True):
        if n:
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
    sql = dialect.count_on_shard(table)
    return sum(n > 0 for n in _asked(connection, dialect, table, sql))


def _asked(connection: Connection, dialect: Dialect, table: Table, sql: str) -> list[int]:
    """Return what each shard answers to a SELECT of one number; {name}: the table."""
    answers = []
    with connection.apart():
        connection.execute(Statement(f"CREATE TEMPORARY TABLE {_TOLD} (n BIGINT NOT NULL)"))
        for shard in table.shards:
            connection.execute(dialect.on_shard(shard, sql.format(name=table.name), _TOLD))
            answers.append(int(connection.value(Statement(f"SELECT n FROM {_TOLD}"))))
            connection.execute(Statement(f"DELETE FROM {_TOLD}"))
    return answers


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
