"""`lookalike server`: the private MySQL."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

import click

from lookalike import PrivateServer
from lookalike.cli.options import output_options
from lookalike.cli.output import Output


@click.group()
def server() -> None:
    """The private MySQL: your own, without network, started when it is needed."""


@server.command()
@click.option("--mirror", metavar="URL", help="A Debian mirror, instead of the machine's own.")
@output_options
def install(mirror: str | None, out: Output) -> None:
    """Install MySQL 9 for yourself alone, without root."""
    with _bar(out) as progress:
        mysqld = PrivateServer().install(mirror=mirror, progress=progress)
    out.json({"mysqld": mysqld}) if out.as_json else out.say(f"MySQL is installed: {mysqld}")


@server.command()
@output_options
def start(out: Output) -> None:
    """Start the server, unless it is running."""
    with _bar(out) as progress:
        status = PrivateServer().start(progress=progress)
    out.json(asdict(status)) if out.as_json else out.say(f"MySQL {status.version} is running.")


@server.command()
@output_options
def stop(out: Output) -> None:
    """Stop the server; its data stay."""
    stopped = PrivateServer().stop()
    if out.as_json:
        out.json({"stopped": stopped})
    else:
        out.say(
            "The private MySQL is stopped." if stopped else "The private MySQL was not running."
        )


@server.command()
@output_options
def status(out: Output) -> None:
    """Tell whether the server runs, and where."""
    facts = asdict(PrivateServer().status())
    if out.as_json:
        out.json(facts)
    else:
        width = max(map(len, facts))
        for name, value in facts.items():
            click.echo(f"{name:{width}}  {'-' if value is None else value}")


@server.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[ARG]...")
def shell(args: tuple[str, ...]) -> None:
    """Open the mysql client on the server.

    Standard input and further arguments go to the client: lookalike server shell < FILE.sql
    """
    private = PrivateServer()
    private.start()
    # In the client it cancels a line or a query. A handler, unlike SIG_IGN, is not passed on to it.
    signal.signal(signal.SIGINT, lambda *_: None)
    sys.exit(subprocess.run(private.client_command(args), check=False).returncode)


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
