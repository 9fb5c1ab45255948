"""`lookalike server`: the private servers."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

import lookalike
from lookalike.cli.options import output_options
from lookalike.cli.output import Output

_TITLES = {"mysql": "MySQL", "mariadb": "MariaDB"}

engine_option = click.option(
    "--engine",
    type=click.Choice(list(_TITLES)),
    default="mysql",
    show_default=True,
    help="Which private server; each has data of its own.",
)


@click.group()
def server() -> None:
    """The private MySQL or MariaDB: without network, started when needed."""


@server.command()
@engine_option
@click.option("--mirror", metavar="URL", help="A Debian mirror, instead of the machine's own.")
@output_options
def install(engine: str, mirror: str | None, out: Output) -> None:
    """Install MySQL 9 or MariaDB 11.8 for your user only, without root."""
    with _bar(out) as progress:
        private = lookalike.PrivateServer(engine=engine)
        mysqld = private.install(mirror=mirror, progress=progress)
    if out.as_json:
        out.json({"mysqld": mysqld})
    else:
        out.say(f"{_TITLES[engine]} is installed: {mysqld}")


@server.command()
@engine_option
@click.option(
    "--buffer-pool",
    metavar="SIZE",
    help="The memory that the server uses for data, such as 1G; auto is a quarter of the "
    "machine's memory, 128M to 4G. Remembered for later starts.",
)
@click.option(
    "--stop-after-idle",
    metavar="TIME",
    help="Stop the server after this long without a connection, such as 30m; default: never. "
    "Remembered for later starts. A command that needs the server starts it again.",
)
@output_options
def start(engine: str, buffer_pool: str | None, stop_after_idle: str | None, out: Output) -> None:
    """Start the server, unless it is running."""
    with _bar(out) as progress:
        status = lookalike.PrivateServer(engine=engine).start(
            buffer_pool=buffer_pool, stop_after_idle=stop_after_idle, progress=progress
        )
    if out.as_json:
        out.json(asdict(status))
    else:
        out.say(f"{_TITLES[engine]} {status.version} is running.")


@server.command()
@engine_option
@output_options
def stop(engine: str, out: Output) -> None:
    """Stop the server; its data stay."""
    stopped = lookalike.PrivateServer(engine=engine).stop()
    if out.as_json:
        out.json({"stopped": stopped})
    else:
        out.say(f"The private {_TITLES[engine]} {'is stopped' if stopped else 'was not running'}.")


@server.command()
@engine_option
@output_options
def status(engine: str, out: Output) -> None:
    """Show whether the server runs, and where."""
    facts = asdict(lookalike.PrivateServer(engine=engine).status())
    if out.as_json:
        out.json(facts)
    else:
        facts["buffer_pool"] = f"{facts['buffer_pool'] // 2**20:,} MB"
        if facts["stop_after_idle"] is not None:
            facts["stop_after_idle"] = f"{facts['stop_after_idle']:,} s"
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:{width}}  {'-' if value is None else value}")


@server.command()
@engine_option
@output_options
def url(engine: str, out: Output) -> None:
    """Print the server's URL, for other programs; it does not start the server."""
    found = lookalike.PrivateServer(engine=engine).url
    out.json({"url": found}) if out.as_json else click.echo(found)


@server.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.option(
    "--database",
    metavar="URL",
    help="Another server's; by default the LOOKALIKE_DATABASE variable, and without it the private "
    "MySQL. A name alone is the client's own option.",
)
@click.option("--engine", type=click.Choice(list(_TITLES)), help="The private server of an engine.")
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def shell(database: str | None, engine: str | None, args: tuple[str, ...]) -> None:
    """Open the mysql or mariadb client on the server.

    Standard input and further arguments go to the client: lookalike server shell < FILE.sql
    """
    if database and "://" not in database:
        database, args = None, (f"--database={database}", *args)
    if engine is not None:
        if database:
            raise click.UsageError("give --engine or --database URL, not both")
        database = f"{engine}://"
    # Ctrl-C in the client cancels a line or query. Unlike SIG_IGN, a handler is not inherited.
    sys.exit(
        lookalike.open_shell(database, args, before=lambda: signal.signal(signal.SIGINT, _nothing))
    )


def _nothing(*_: object) -> None:
    pass


@contextmanager
def _bar(out: Output) -> Iterator[Callable[[str, int, int], None]]:
    """Show each step: a bar on a terminal, a line elsewhere."""
    with out.progress("") as bar:
        task = bar.add_task("", total=None)
        told = ""

        def progress(step: str, done: int, total: int) -> None:
            nonlocal told
            if bar.disable and step != told:
                out.say(step)
                told = step
            bar.update(task, description=step, completed=done, total=total or None)

        yield progress
