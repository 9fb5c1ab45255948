"""The SQL functions: made in a database, or what an administrator has to allow first."""

from importlib import metadata
from importlib.resources import files

from lookalike.core.errors import DatabaseError
from lookalike.database.connection import Connection
from lookalike.database.errors import Privilege, UntrustedFunctions
from lookalike.database.privileges import account, held, quoted
from lookalike.dialects import Statement
from lookalike.dialects.procedures import PROCEDURES, procedures_sql

NAMES = ("my_dot_product", "my_vec_norm", "DISTANCE", "lookalike_distance", "lookalike_version")
PRIVILEGES = ("CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE")


def functions_sql() -> str:
    """Return the SQL of the functions and procedures, as the mysql client reads it."""
    file = files("lookalike.dialects").joinpath("sql", "functions.sql")
    functions = file.read_text(encoding="utf-8").replace("{{version}}", _version())
    return f"{functions}\n{procedures_sql()}"


def _version() -> str:
    try:
        return metadata.version("lookalike")
    except metadata.PackageNotFoundError:  # a source tree on the path
        return "unknown"


def install_functions(connection: Connection) -> list[str]:
    """Make the functions and procedures in the current database, and name those that users call.

    Raises DatabaseError that says all that an administrator has to do where the server refuses.
    """
    run_routines(connection, functions_sql(), connection.url.database, "functions")
    return [*NAMES, *PROCEDURES]


def run_routines(connection: Connection, sql: str, database: str, what: str) -> None:
    """Run the statements of a file of routines that belong in a database.

    what: the routines, in the plural. Raises DatabaseError like `install_functions`.
    """
    try:
        for part in sql.split("DELIMITER //")[1:]:
            for statement in part.split("DELIMITER ;")[0].split(" //\n"):
                if statement.strip():
                    connection.execute(Statement(statement.strip()))
    except (Privilege, UntrustedFunctions) as error:
        remedy = _remedy(connection, str(error), database, what)
        raise DatabaseError(remedy, code=error.code) from error


def _remedy(connection: Connection, refusal: str, database: str, what: str) -> str:
    has = held(connection, database)
    missing = [] if "ALL PRIVILEGES" in has else [p for p in PRIVILEGES if p not in has]
    reasons, statements = [], []
    if missing:
        user, grantee = account(connection)
        listed = ", ".join(missing)
        reasons.append(f"user {user!r} lacks {listed} on database {database}")
        needed = ", ".join(PRIVILEGES)
        statements.append(f"GRANT {needed} ON {quoted(database, '`')}.* TO {grantee};")
    is_free = what != "functions" or has & {"SUPER", "ALL PRIVILEGES ON *.*"}
    if not is_free and _binlog_refuses(connection):
        reasons.append(
            "the server writes a binary log and lets only users with SUPER create functions"
        )
        statements.append("SET PERSIST log_bin_trust_function_creators = 1;")
    if not reasons:
        return refusal
    return (
        f"the {what} cannot be created: {' and '.join(reasons)}; have an administrator run "
        f"{' '.join(statements)}"
    )


def _binlog_refuses(connection: Connection) -> bool:
    sql = "SELECT @@GLOBAL.log_bin AND NOT @@GLOBAL.log_bin_trust_function_creators"
    return bool(connection.value(Statement(sql)))
