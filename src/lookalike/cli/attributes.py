"""`lookalike attributes`: list and drop the attributes of a collection's images."""

from dataclasses import asdict

import click

from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    output_options,
    yes_option,
)
from lookalike.cli.output import Output


@click.group(invoke_without_command=True)
@database_option
@collection_option
@output_options
@click.pass_context
def attributes(ctx: click.Context, database: str | None, collection: str, out: Output) -> None:
    """List the attributes of a collection's images: name, kind and how many have it.

    \b
    lookalike attributes drop NAME      remove an attribute from all images

    `lookalike add --attributes FILE` sets attributes.
    """
    if ctx.invoked_subcommand:
        is_given = ctx.get_parameter_source("collection") is not click.core.ParameterSource.DEFAULT
        if database or is_given or out.as_json or out.quiet or out.verbose:
            raise click.UsageError(f"give the options after {ctx.invoked_subcommand}")
        return
    with connect(database, out) as db:
        found = db.collection(collection).attributes.list()
    if out.as_json:
        out.json([asdict(each) for each in found])
    elif found:
        rows = [[each.name, each.kind, each.rows] for each in found]
        out.table(["name", "kind", "images"], rows)
    else:
        out.say(
            f"No attributes in {collection}. Add some with: lookalike add --attributes FILE "
            f"--collection {collection}"
        )


@attributes.command()
@click.argument("name", metavar="NAME")
@yes_option
@click.option("--dry-run", is_flag=True, help="Tell how many images have it, and change nothing.")
@database_option
@collection_option
@output_options
def drop(
    name: str, yes: bool, dry_run: bool, database: str | None, collection: str, out: Output
) -> None:
    """Remove the attribute NAME from all images of a collection, and its database indexes.

    Images, files and other attributes stay. On a terminal it asks; elsewhere give --yes. If it was
    killed, run the same command again. A column of your own is never dropped.
    """
    with connect(database, out) as db:
        found = db.collection(collection).attributes
        count = found.drop(name, dry_run=True)
        what = f"{name} of {count:,} {'image' if count == 1 else 'images'} in {collection}"
        if not dry_run:
            if not yes:
                out.confirm(f"Drop {what}? The images stay.", "nothing was dropped")
            count = found.drop(name)
    if out.as_json:
        out.json({"collection": collection, "name": name, "images": count, "is_dry_run": dry_run})
    else:
        out.say(f"{'Would drop' if dry_run else 'Dropped'} {what}. The images stay.")
