"""`lookalike server`: the private MySQL."""

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


@click.group()
def server() -> None:
    """The private MySQL: your own, without network, started when needed."""


@server.command()
@click.option("--mirror", metavar="URL", help="A Debian mirror, instead of the machine's own.")
@output_options
def install(mirror: str | None, out: Output) -> None:
    """Install MySQL 9 for your user only, without root."""
    with _bar(out) as progress:
        mysqld = lookalike.PrivateServer().install(mirror=mirror, progress=progress)
    out.json({"mysqld": mysqld}) if out.as_json else out.say(f"MySQL is installed: {mysqld}")


@server.command()
@click.option(
    "--buffer-pool",
    metavar="SIZE",
    help="The memory that MySQL uses for data, such as 1G; auto is a quarter of the "
    "machine's memory, 128M to 4G. Remembered for later starts.",
)
@click.option(
    "--stop-after-idle",
    metavar="TIME",
    help="Stop the server after this long without a connection, such as 30m; default: never. "
    "Remembered for later starts. A command that needs the server starts it again.",
)
@output_options
def start(buffer_pool: str | None, stop_after_idle: str | None, out: Output) -> None:
    """Start the server, unless it is running."""
    with _bar(out) as progress:
        status = lookalike.PrivateServer().start(
            buffer_pool=buffer_pool, stop_after_idle=stop_after_idle, progress=progress
        )
    out.json(asdict(status)) if out.as_json else out.say(f"MySQL {status.version} is running.")


@server.command()
@output_options
def stop(out: Output) -> None:
    """Stop the server; its data stay."""
    stopped = lookalike.PrivateServer().stop()
    if out.as_json:
        out.json({"stopped": stopped})
    else:
        out.say(
            "The private MySQL is stopped." if stopped else "The private MySQL was not running."
        )


@server.command()
@output_options
def status(out: Output) -> None:
    """Show whether the server runs, and where."""
    facts = asdict(lookalike.PrivateServer().status())
    if out.as_json:
        out.json(facts)
    else:
        facts["buffer_pool"] = f"{facts['buffer_pool'] // 2**20:,} MB"
        if facts["stop_after_idle"] is not None:
            facts["stop_after_idle"] = f"{facts['stop_after_idle']:,} s"
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:{width}}  {'-' if value is None else value}")


@server.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.option(
    "--database",
    metavar="URL",
    help="Another server's; by default the LOOKALIKE_DATABASE variable, and without it the private "
    "MySQL. A name alone is the client's own option.",
)
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def shell(database: str | None, args: tuple[str, ...]) -> None:
    """Open the mysql client on the server.

    Standard input and further arguments go to the client: lookalike server shell < FILE.sql
    """
    if database and "://" not in database:
        database, args = None, (f"--database={database}", *args)
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
