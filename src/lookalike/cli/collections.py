"""`lookalike status`, `failures` and `remove`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    output_options,
    yes_option,
)
from lookalike.cli.output import Output, describe_plan

if TYPE_CHECKING:
    from lookalike import ImageRecord, Run, Status

_SHOWN = 5


@click.command()
@click.option("--collection", metavar="NAME", help="The collection to show. Default: all.")
@database_option
@output_options
def status(collection: str | None, database: str | None, out: Output) -> None:
    """Show the state of collections: rows, model, index, attributes, failures and the last run.

    Of a cluster, also its servers, and why one does not answer searches.

    After each attribute stand its kind and the number of rows that have it.
    """
    with connect(database, out) as db:
        found = [db.collection(collection).status()] if collection else db.status()
        servers = db.members()
    if out.as_json:
        out.json([asdict(each) for each in found])
    elif not found:
        out.say("No collections yet. Create one with: lookalike add FOLDER")
    for each in found if not out.as_json else ():
        click.echo("\n".join([each.name, *(f"  {line}" for line in _lines(each))]))
    for server in servers if not out.as_json else ():
        problem = f": {server.problem}" if server.problem else ""
        click.echo(f"{server.address}  {server.role or 'lost'}{problem}")


def _lines(status: Status) -> list[str]:
    model = status.model or "none (embeddings were added without a model)"
    computes = f"; {status.precision}" if status.precision else ""
    cells = "1 cell" if status.n_cells == 1 else f"{status.n_cells:,} cells"
    index = f"{status.indexed:,} rows in {cells}"
    if status.plan:
        index += f"; {describe_plan(status.plan)}"
    elif status.index == "server":
        index = f"{status.indexed:,} rows, the server's own"
    lines = [
        f"rows        {status.rows:,}",
        f"model       {model}, {status.dim} dimensions{computes}",
        f"size        {decimal(status.size)}",
        f"index       {index if status.index else 'none; every search is exact'}",
        f"attributes  {_attributes(status) or 'none'}",
    ]
    if status.threshold is not None:
        lines.append(f"threshold   {status.threshold:.4g} (of `screen`)")
    if status.copy_of is not None:
        lines.append(f"copy        unfinished, of {status.copy_of}: lookalike copy goes on")
    lines.append(f"failures    {status.failures:,}")
    return lines + ([f"last run    {_run(status.last_run)}"] if status.last_run else [])


def _attributes(status: Status) -> str:
    return ", ".join(f"{each.name} ({each.kind}, {each.rows:,})" for each in status.attributes)


def _run(run: Run) -> str:
    if run.ended_at is None:
        return f"{_local(run.started_at)}, not finished: still running, or killed"
    counts = {
        "added": run.added,
        "updated": run.updated,
        "copy" if run.reused == 1 else "copies": run.reused,
        "unchanged": run.unchanged,
        "failed": run.failed,
        "removed": run.removed,
    }
    done = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    seconds = round((run.ended_at - run.started_at).total_seconds())
    told = f"{_local(run.started_at)}, {seconds:,} s: {done or 'no changes'}"
    return f"{told}; stopped: {run.error}" if run.error else told


def _local(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


@click.command()
@database_option
@collection_option
@output_options
def failures(database: str | None, collection: str, out: Output) -> None:
    """List the files that could not be added, and why.

    They are retried when they change, or with: lookalike add --retry PATH
    """
    with connect(database, out) as db:
        found = db.collection(collection).failures()
    if out.as_json:
        out.json([asdict(each) for each in found])
    elif found:
        rows = [[str(each.path), each.reason, _local(each.seen_at)] for each in found]
        out.table(["path", "reason", "seen_at"], rows, paths="path")
    else:
        out.say(f"No failures in {collection}.")


@click.command()
@click.argument("targets", nargs=-1, required=True, metavar="PATH|ID...")
@click.option("--dry-run", is_flag=True, help="Only show what would be removed.")
@yes_option
@database_option
@collection_option
@output_options
def remove(
    targets: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Remove images from a collection; their files stay.

    PATH is a file or a folder (with its subfolders), which need not exist any more. ID is the id
    or the image_name of a row. If one of them is not stored, nothing is removed. Before it
    removes a folder or several images, it lists them and asks; scripts give --yes.
    """
    with connect(database, out) as db:
        images = db.collection(collection)
        found = images.find(*targets)
        what = f"{_images(len(found))} from {collection}"
        if not (dry_run or yes) and _is_much(found, targets):
            undone = f"did not remove {_images(len(found))}"
            out.confirm(f"{_names(found)}\nRemove {what}? The files stay.", undone)
        removed = 0 if dry_run else images.remove_rows(row.id for row in found)
    if out.as_json:
        rows = [asdict(row) for row in found]
        counts = {"collection": collection, "removed": removed, "is_dry_run": dry_run}
        out.json({**counts, "images": rows})
    elif dry_run:
        out.say(f"{_names(found)}\nWould remove {what}. Nothing was changed.")
    else:
        out.say(f"Removed {_images(removed)} from {collection}.")


def _is_much(found: Sequence[ImageRecord], targets: Sequence[str]) -> bool:
    """Whether several images are meant, or a folder, which may contain more than expected."""
    if len(found) != 1:
        return True
    folders = {os.path.realpath(os.path.expanduser(target)) for target in targets}  # noqa: PTH111
    return any(str(folder) in folders for row in found if row.path for folder in row.path.parents)


def _names(found: Sequence[ImageRecord]) -> str:
    names = [f"  {row.path or row.image_name}" for row in found[:_SHOWN]]
    more = len(found) - len(names)
    return "\n".join(names + ([f"  ... and {more:,} more"] if more else []))


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"
