"""`lookalike sql` and `install-functions`."""

from __future__ import annotations

import os

import click

import lookalike
from lookalike.cli.options import connect, database_option, output_options
from lookalike.cli.output import Output


@click.command()
@click.argument("query")
@database_option
@output_options
def sql(query: str, database: str | None, out: Output) -> None:
    """Run any SQL and print its result as a table."""
    with connect(database, out) as db:
        columns, rows = db.rows(query)
    if out.as_json:
        out.json([dict(zip(columns, row, strict=True)) for row in rows])
    elif columns:
        out.table(columns, rows)
    else:
        out.say("Done. The statement returned no rows.")


@click.command("install-functions")
@click.option(
    "--mysql-ai",
    is_flag=True,
    help="Create sys.ML_SIMILARITY_SEARCH instead, which Oracle's Python client mysql.ai calls.",
)
@click.option("--show-sql", is_flag=True, help="Print the SQL instead, for any mysql client.")
@click.option(
    "--native",
    is_flag=True,
    help="Build and install the native functions instead: in C, fast, for the whole server.",
)
@click.option("--remove", is_flag=True, help="With --native: remove them from the server.")
@database_option
@output_options
def install_functions(
    mysql_ai: bool,
    show_sql: bool,
    native: bool,
    remove: bool,
    database: str | None,
    out: Output,
) -> None:
    """Create my_dot_product, my_vec_norm and DISTANCE in the database.

    They are plain SQL for any MySQL 9. DISTANCE works as in MySQL AI and HeatWave.

    --native needs gcc, a server on this machine, write access to its plugin folder, and SELECT,
    INSERT and DELETE on mysql.*. Otherwise it prints the commands for an administrator.
    """
    if remove and not native:
        raise click.UsageError("--remove goes with --native")
    if native and (show_sql or mysql_ai):
        raise click.UsageError("give --native without --show-sql and --mysql-ai")
    if show_sql:
        url = database or os.environ.get("LOOKALIKE_DATABASE")
        sql = lookalike.mysql_ai_sql(url) if mysql_ai else lookalike.functions_sql()
        click.echo(sql, nl=False)
        return
    with connect(database, out) as db:
        place = None if native else "sys" if mysql_ai else db.connection.url.database
        if native:
            names = db.remove_native_functions() if remove else db.install_native_functions()
        elif mysql_ai:
            out.say("Writing to the database sys: needs CREATE ROUTINE, ALTER ROUTINE and EXECUTE.")
            names = db.install_mysql_ai()
        else:
            names = db.install_functions()
    if out.as_json:
        out.json({"database": place, "functions": names})
    elif remove:
        out.say(f"Removed {', '.join(names) or 'nothing'} from the server.")
    else:
        where = f"in database {place}" if place else "on the server"
        out.say(f"Installed {', '.join(names)} {where}.")
