"""The command group; errors become one line and an exit status."""

from typing import Any

import click

from lookalike import LookalikeError
from lookalike.cli.add import add, export
from lookalike.cli.attributes import attributes
from lookalike.cli.catalog import collections
from lookalike.cli.collections import failures, remove, status
from lookalike.cli.duplicates import duplicates
from lookalike.cli.index import index
from lookalike.cli.output import NOT_DONE
from lookalike.cli.screen import calibrate, screen
from lookalike.cli.search import search
from lookalike.cli.server import server
from lookalike.cli.sql import install_functions, sql

INTERRUPTED = 130


class NotDone(click.ClickException):
    """An error that ends the command with status 2."""

    exit_code = NOT_DONE


class Interrupted(click.ClickException):
    """Ctrl-C; ends the command with the status that shells use for it."""

    exit_code = INTERRUPTED


class Commands(click.Group):
    """A group that prints errors of commands as one line on standard error, without traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LookalikeError as error:
            raise NotDone(str(error)) from error
        except (KeyboardInterrupt, click.Abort) as error:
            raise Interrupted("interrupted; the same command again finishes the job") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lookalike")
def main() -> None:
    """Image similarity search that lives inside MySQL.

    \b
    lookalike add ~/Pictures           a folder of images into MySQL
    lookalike search photo.jpg         the stored images most like this one

    Exit status: 0 done, 1 done but some files failed, 2 not done, 130 interrupted.
    """


COMMANDS = (
    *(add, search, duplicates, screen, calibrate, status, failures, remove, export),
    *(attributes, collections, index, install_functions, sql, server),
)
for command in COMMANDS:
    main.add_command(command)
