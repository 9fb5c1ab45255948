"""The options that commands share, and how a command reaches its database."""

import functools
from collections.abc import Callable
from typing import Any

import click

import lookalike
from lookalike.cli.output import Output

Command = Callable[..., Any]


def output_options(command: Command) -> Command:
    """Add --json, --quiet and --verbose, passed on as `out`."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
    @click.option("-q", "--quiet", is_flag=True, help="Print results and errors only.")
    @click.option("-v", "--verbose", is_flag=True, help="Show every SQL statement.")
    @functools.wraps(command)
    def wrapper(*args: Any, as_json: bool, quiet: bool, verbose: bool, **kwargs: Any) -> Any:
        return command(*args, out=Output(as_json, quiet, verbose), **kwargs)

    return wrapper


database_option = click.option(
    "--database",
    metavar="URL",
    help="mysql://user:password@host:port/database; by default the LOOKALIKE_DATABASE variable, "
    "and without it the private MySQL, started when needed.",
)
collection_option = click.option(
    "--collection",
    metavar="NAME",
    default="image_embeddings",
    show_default=True,
    help="The table of the images.",
)
model_option = click.option(
    "--model",
    metavar="NAME",
    help="auto, efficientnet-lite2, clip-ViT-B-32, another CLIP model of sentence-transformers, "
    "or a folder with one. By default the collection's own, and auto for a new one: CLIP where "
    "it can be had, else efficientnet-lite2.",
)
force_option = click.option(
    "--force", is_flag=True, help="Replace FILE also where lookalike did not write it."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask; for scripts.")


def connect(database: str | None, out: Output) -> lookalike.Database:
    """Connect as --database says, telling what takes long."""
    return lookalike.connect(database, tracer=out.trace, notify=out.say)
