"""Which engine a server is: found out by asking it, never by its version."""

from lookalike.core.errors import ConnectionFailed, DatabaseError, UnsupportedServer
from lookalike.database.connection import Connection
from lookalike.database.shards import named
from lookalike.dialects import Dialect
from lookalike.dialects.registry import DIALECTS

MYSQL = "mysql"


def probe(connection: Connection) -> Dialect:
    """Return the dialect of the first engine that the server passes for.

    Raises UnsupportedServer where it is none of them, or not that which the URL names. A URL of
    mysql:// names the protocol: it may lead to any.
    """
    scheme = connection.url.scheme
    for engine in DIALECTS:
        dialect = engine()
        if _is_engine(connection, dialect):
            if scheme in (MYSQL, dialect.scheme):
                connection.set_sessions(dialect.session_settings | _of_shards(connection, dialect))
                return dialect
            version = connection.value(dialect.version())
            raise UnsupportedServer(
                f"{connection.url} is version {version}, not a {scheme} server: "
                f"write its URL with {dialect.scheme}://"
            )
    version = connection.value(dialect.version())
    raise UnsupportedServer(
        f"{connection.url} is version {version}, which lacks STRING_TO_VECTOR and MySQL's "
        "VECTOR type: use MySQL 9.0 or newer, or leave out the URL for the private MySQL"
    )


def require_functions(connection: Connection, dialect: Dialect) -> None:
    """Raise UnsupportedServer where lookalike's functions, procedures and events do not run."""
    if not dialect.has_functions:
        raise UnsupportedServer(
            f"{connection.url} cannot run lookalike's SQL functions and procedures: "
            f"{dialect.instead_of_functions}"
        )


def _of_shards(connection: Connection, dialect: Dialect) -> dict[str, int]:
    """Return what sessions are set to where the server can spread tables over others."""
    if not dialect.shard_settings or not connection.value(dialect.can_spread()):
        return {}
    connection.named = lambda error: named(connection, dialect, error)
    return dialect.shard_settings


def _is_engine(connection: Connection, dialect: Dialect) -> bool:
    try:
        return all(connection.value(each) for each in dialect.probes())
    except ConnectionFailed:
        raise
    except DatabaseError:
        return False
