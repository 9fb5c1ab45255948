"""Options that commands share, and the connection to the database."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, get_args

import click

import lookalike
from lookalike import IndexKind
from lookalike.cli.output import Output
from lookalike.core.sizes import check_bytes

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
    help="mysql://user:password@host:port/database, or mariadb:// alone for the private MariaDB. "
    "Default: the variable LOOKALIKE_DATABASE; if it is not set, the private MySQL. A private "
    "server is started automatically.",
)
collection_option = click.option(
    "--collection",
    metavar="NAME",
    default="image_embeddings",
    show_default=True,
    help="The collection: the name of its table.",
)
model_option = click.option(
    "--model",
    metavar="NAME",
    help="auto, efficientnet-lite2, clip-ViT-B-32, another CLIP model of sentence-transformers, "
    "or a folder with one. Default: the collection's model; for a new collection auto, which is "
    "CLIP if it is installed, else efficientnet-lite2.",
)
time_limit_option = click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for decoding one file.",
)
index_memory_option = click.option(
    "--index-memory",
    metavar="SIZE",
    callback=lambda context, option, size: check_bytes("--index-memory", size),
    help="The most memory for the index, as 512M or 2G. Default: a quarter of what is free.",
)
index_kind_option = click.option(
    "--index",
    "kind",
    type=click.Choice(get_args(IndexKind)),
    help="The kind of index to make and keep: lookalike's own, or the server's. Default: the "
    "one that the collection has, at first the server's where it has one for the metric.",
)
force_option = click.option(
    "--force", is_flag=True, help="Replace FILE even if lookalike did not write it."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask; for scripts.")


def connect(database: str | None, out: Output, *, computes: bool = False) -> lookalike.Database:
    """Connect to --database, and report slow steps.

    computes: whether numpy may use all cores. Starting its threads takes longer than most searches.
    """
    if not computes:
        for variable in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
    return lookalike.connect(database, tracer=out.trace, notify=out.say)


def walk_options(command: Command) -> Command:
    """Add the options of commands that add folders: which files, and what of them."""
    for option in (
        click.option("--location", is_flag=True, help="With --facts: also latitude and longitude."),
        click.option(
            "--facts",
            is_flag=True,
            help="Set attributes from what the files tell, also of stored images: taken_at, "
            "camera, format, width, height, file_size, folder.",
        ),
        click.option(
            "--prune",
            is_flag=True,
            help="Remove the rows of files below PATH that no longer exist.",
        ),
        click.option(
            "--hidden",
            is_flag=True,
            help="Include files and folders whose names begin with a dot.",
        ),
        click.option(
            "--exclude",
            multiple=True,
            metavar="PATTERN",
            help="Skip files that match, as in .gitignore. Can be repeated.",
        ),
    ):
        command = option(command)
    return command


def check_location(*, facts: bool, location: bool) -> None:
    """Raise UsageError for --location without --facts."""
    if location and not facts:
        raise click.UsageError("--location needs --facts")
