"""The procedure that Oracle's Python client calls on MySQL AI, made on MySQL Community."""

from importlib.resources import files

from lookalike.core.errors import DatabaseError
from lookalike.database.connection import Connection
from lookalike.database.functions import run_routines
from lookalike.database.privileges import quoted
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement
from lookalike.server.address import private_of

_PRIVATE = "lookalike"
SCHEMA, NAME = "sys", "ML_SIMILARITY_SEARCH"
_COMMENT = Statement(
    "SELECT ROUTINE_COMMENT FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = %s AND ROUTINE_NAME = %s",
    (SCHEMA, NAME),
)


def mysql_ai_sql(url: str | None = None) -> str:
    """Return the SQL of sys.ML_SIMILARITY_SEARCH, as the mysql client reads it.

    url: of the database whose indexes it uses; by default the private MySQL's.
    """
    return _sql(_PRIVATE if private_of(url) else DatabaseURL.parse(url or "").database)


def _sql(database: str) -> str:
    sql = files("lookalike.dialects").joinpath("sql", "mysql_ai.sql").read_text(encoding="utf-8")
    name = f"CONVERT(X'{database.encode().hex()}' USING utf8mb4)"
    return sql.replace("{{schema}}", quoted(database, "`")).replace("{{name}}", name)


def install_mysql_ai(connection: Connection) -> list[str]:
    """Create sys.ML_SIMILARITY_SEARCH, and name it.

    Raises:
        DatabaseError: The server has a procedure of that name that is not lookalike's, or the user
            may not create one; the message says what an administrator has to do.
    """
    if any(not comment.startswith("lookalike: ") for (comment,) in connection.query(_COMMENT)):
        raise DatabaseError(
            f"the server has a {SCHEMA}.{NAME} of its own, as MySQL AI has: use that one"
        )
    run_routines(connection, _sql(connection.url.database), SCHEMA, "procedures")
    return [f"{SCHEMA}.{NAME}"]
