"""The command group; errors become one line and an exit status.

A command's module is imported when it runs, so `--help` and completion start fast.
"""

from __future__ import annotations

import json
from difflib import get_close_matches
from importlib import import_module
from typing import IO, Any

import click
from click.shell_completion import CompletionItem

import lookalike
from lookalike.cli.statuses import INTERRUPTED, NOT_DONE

AS_JSON = "lookalike.as_json"

COMMANDS = {
    "add": ("add", "Embed images and store them."),
    "watch": ("watch", "Keep folders and a collection in step: add what is new or changed."),
    "search": ("search", "Find the stored images most similar to QUERY."),
    "duplicates": (
        "duplicates",
        "Find images that resemble one another; delete or move them on request.",
    ),
    "screen": ("screen", "Check whether images resemble any image of a collection."),
    "calibrate": (
        "screen",
        "Suggest a threshold for `screen` from examples, with its error rates on them.",
    ),
    "status": (
        "collections",
        "Show the state of collections: rows, model, index, attributes, failures and the last run.",
    ),
    "failures": ("collections", "List the files that could not be added, and why."),
    "remove": ("collections", "Remove images from a collection; their files stay."),
    "export": ("add", "Write the embeddings of images to FILE.sql, without a database."),
    "attributes": (
        "attributes",
        "List the attributes of a collection's images: name, kind and how many have it.",
    ),
    "collections": ("catalog", "List the collections: images, model, size on disk and index."),
    "copy": ("copy", "Copy collections to another database, such as from MySQL to MariaDB."),
    "index": ("index", "The index of a collection, or of a table of your own."),
    "sql": ("sql", "Run any SQL and print its result as a table."),
    "install-functions": (
        "sql",
        "Create my_dot_product, my_vec_norm and DISTANCE in the database.",
    ),
    "serve": ("serve", "Open a web page and an HTTP API for a collection."),
    "server": (
        "server",
        "The private MySQL or MariaDB: without network, started when needed.",
    ),
}
"""Module and line of help of each command; a test compares them with the commands' own."""

MEANT = {
    "delete": ("remove", "collections delete", "duplicates --delete"),
    "drop": ("collections delete", "attributes drop", "index drop"),
    "migrate": ("copy",),
    "move": ("copy", "collections rename"),
    "create": ("index create",),
    "refresh": ("index refresh",),
    "find": ("search",),
    "import": ("add",),
    "info": ("status",),
    "list": ("collections", "status"),
    "ls": ("collections", "status"),
    "query": ("search", "sql"),
    "rm": ("remove", "collections delete"),
    "start": ("server start",),
    "stop": ("server stop",),
    "install": ("server install",),
}
"""What users of other programs type, and the commands that do it here."""


class Ended(click.ClickException):
    """An error that ends the command; with --json it is a JSON document on standard output."""

    def __init__(self, error: str, kind: str, status: int, *, as_json: bool) -> None:
        super().__init__(error)
        self.exit_code = status  # type: ignore[misc]
        self._document = {"error": error, "type": kind} if as_json else None

    def show(self, file: IO[Any] | None = None) -> None:
        if self._document is None:
            super().show(file)
        else:
            click.echo(json.dumps(self._document))


class Commands(click.Group):
    """A group that imports a command on first use, and prints errors as one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"lookalike.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help":
            if len(args) == 1:
                click.echo(ctx.get_help())
                ctx.exit()
            args = [*args[1:], "--help"]
        if args[0] not in COMMANDS and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}.{_suggestion(args[0])}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        commands = [
            CompletionItem(name, help=line)
            for name, (_, line) in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except lookalike.LookalikeError as error:
            raise _ended(ctx, str(error), error, NOT_DONE) from error
        except click.ClickException as error:
            if not ctx.meta[AS_JSON]:
                raise
            raise _ended(ctx, error.format_message(), error, error.exit_code) from error
        except (KeyboardInterrupt, click.Abort) as error:
            told = "interrupted; the same command again finishes the job"
            raise _ended(ctx, told, error, INTERRUPTED) from error


def _ended(ctx: click.Context, told: str, error: BaseException, status: int) -> Ended:
    return Ended(told, type(error).__name__, status, as_json=ctx.meta[AS_JSON])


def _suggestion(name: str) -> str:
    """Return a sentence with the commands that were probably meant, or an empty string."""
    meant = MEANT.get(name) or get_close_matches(name, COMMANDS, n=2)
    return f" Did you mean: {', '.join(f'lookalike {each}' for each in meant)}?" if meant else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lookalike")
def main() -> None:
    """Image similarity search that lives inside MySQL.

    \b
    lookalike add ~/Pictures           a folder of images into MySQL
    lookalike search photo.jpg         the stored images most like this one

    Exit status: 0 done, 1 done but some files failed, 2 not done, 130 interrupted.
    """
