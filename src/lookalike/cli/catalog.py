"""`lookalike collections`: list, delete and rename collections."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.filesize import decimal

from lookalike.cli.options import connect, database_option, output_options, yes_option
from lookalike.cli.output import Output

if TYPE_CHECKING:
    from lookalike import CollectionRemoval, Status


@click.group(invoke_without_command=True)
@database_option
@output_options
@click.pass_context
def collections(ctx: click.Context, database: str | None, out: Output) -> None:
    """List the collections: images, model, size on disk and index.

    \b
    lookalike collections delete NAME      delete a collection; image files stay
    lookalike collections rename OLD NEW

    The size is the server's own count and may be a few seconds old.
    """
    if ctx.invoked_subcommand:
        if database or out.as_json or out.quiet or out.verbose:
            raise click.UsageError(f"give the options after {ctx.invoked_subcommand}")
        return
    with connect(database, out) as db:
        found = db.status()
    if out.as_json:
        out.json([asdict(each) for each in found])
    elif found:
        rows = [_row(each) for each in found]
        out.table(["name", "images", "model", "size", "index"], rows)
    else:
        out.say("No collections yet. Create one with: lookalike add FOLDER")


def _row(status: Status) -> list[object]:
    model = status.model or f"none ({status.dim} dimensions)"
    index = f"{status.indexed:,} images" if status.index else "none"
    if status.copy_of is not None:
        index = "unfinished copy"
    return [status.name, status.rows, model, decimal(status.size), index]


@collections.command()
@click.argument("name", metavar="NAME")
@yes_option
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, and delete nothing.")
@click.option(
    "--keep-table", is_flag=True, help="Keep the table; delete only what lookalike added."
)
@database_option
@output_options
def delete(
    name: str, yes: bool, dry_run: bool, keep_table: bool, database: str | None, out: Output
) -> None:
    """Delete a collection: its tables, its index and its records. Image files stay.

    On a terminal it lists what will be deleted and asks; elsewhere give --yes. If it was killed,
    run the same command again.

    A table that lookalike did not create, or that has columns of your own, is never dropped. With
    --keep-table only lookalike's own tables and records are deleted, and your table stays. A
    collection that another table's foreign key refers to is not deleted.
    """
    with connect(database, out) as db:
        found = db.delete_collection(name, keep_table=keep_table, dry_run=True)
        if not dry_run:
            if not yes:
                out.confirm(f"Delete {_what(found)}? Image files stay.", "nothing was deleted")
            found = db.delete_collection(name, keep_table=keep_table)
    if out.as_json:
        out.json(asdict(found))
    else:
        out.say(f"{'Would delete' if dry_run else 'Deleted'} {_what(found)}. Image files stay.")


def _what(found: CollectionRemoval) -> str:
    tables = ", ".join(found.tables)
    if found.name not in found.tables:
        kept = " (the table stays)" if found.keeps_table else ""
        what = f"the tables {tables} and the records" if tables else "the records"
        return f"{what} of {found.name}{kept}"
    images = "1 image" if found.rows == 1 else f"{found.rows:,} images"
    return f"collection {found.name} of {images} (tables {tables})"


@collections.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@database_option
@output_options
def rename(old: str, new: str, database: str | None, out: Output) -> None:
    """Rename a collection with its tables and its index.

    If it was killed, run the same command again. Views and programs of your own that name the table
    are not changed.
    """
    with connect(database, out) as db:
        renamed = db.rename_collection(old, new).name
    if out.as_json:
        out.json({"old": old, "new": renamed})
    else:
        out.say(f"Renamed {old} to {renamed}.")
