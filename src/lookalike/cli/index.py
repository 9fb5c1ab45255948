"""`lookalike index`: what makes search quick, made and proved."""

from dataclasses import asdict

import click

from lookalike import Collection, IndexReport, Plan
from lookalike.cli.options import collection_option, connect, database_option, output_options
from lookalike.cli.output import Output, describe_plan

NOT_TRUE = 1
_SHOWN = 10


@click.command()
@click.option("--check", is_flag=True, help="Compare every code with its embedding.")
@click.option("--rebuild", is_flag=True, help="Make the index again, beside the old one.")
@click.option(
    "--recall",
    type=click.FloatRange(0.5, 0.999),
    metavar="R",
    help="Make it to find this share of the true 10 nearest; .99 at first.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME",
    help="Make a database index on an attribute instead, for quicker --where.",
)
@database_option
@collection_option
@output_options
def index(
    check: bool,
    rebuild: bool,
    recall: float | None,
    attributes: tuple[str, ...],
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Make the index of a collection, or prove it.

    `lookalike add` makes the index by itself and keeps it equal to the table, and so nobody needs
    this command; --check proves that it is equal (exit status 1 where it is not), and --rebuild
    makes it again after somebody has changed embeddings or the index by other programs.
    """
    if check and rebuild:
        raise click.UsageError("give --check or --rebuild, not both")
    if attributes and (check or rebuild or recall):
        raise click.UsageError("give --attribute without --check, --rebuild and --recall")
    if check and recall is not None:
        raise click.UsageError("give --check or --recall, not both")
    with connect(database, out) as db:
        images = db.collection(collection)
        if attributes:
            _index_attributes(out, images, attributes)
            return
        if not check:
            with out.progress("embeddings") as bar:
                task = bar.add_task("Training", total=None)
                built = images.build_index(
                    target_recall=recall,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            if not built:
                out.say(
                    f"No index made: {collection} has few images, and its search is exact; "
                    "or another process is training."
                )
        report = images.check_index()
        plan = images.status().plan
    _tell(out, collection, report, plan)
    if not report.is_true:
        raise click.exceptions.Exit(NOT_TRUE)


def _index_attributes(out: Output, images: Collection, names: tuple[str, ...]) -> None:
    made = {name: images.index_attribute(name) for name in names}
    if out.as_json:
        out.json({"collection": images.name, "made": made})
        return
    for name, is_new in made.items():
        out.say(f"Indexed {name} of {images.name}." if is_new else f"{name} is indexed already.")


def _tell(out: Output, collection: str, report: IndexReport, plan: Plan | None) -> None:
    if out.as_json:
        out.json(
            {
                "collection": collection,
                "rows": report.rows,
                "codes": report.codes,
                "missing": report.missing,
                "stale": report.stale,
                "is_true": report.is_true,
                "plan": asdict(plan) if plan else None,
            }
        )
    elif report.is_true:
        kind = f"{report.codes:,} codes, all true" if report.codes else "no index yet"
        out.say(f"{collection}: {report.rows:,} embeddings, {kind}.")
        if plan:
            out.say(f"Index: {describe_plan(plan)}.")
    else:
        for name, ids in (("missing", report.missing), ("stale", report.stale)):
            if ids:
                some = ", ".join(map(str, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
                out.warn(f"{name} codes: {len(ids):,}, of the ids {some}")
        out.warn(
            "The next `lookalike add` repairs what other programs inserted or deleted; embeddings "
            "that they changed need:"
        )
        out.warn(f"lookalike index --rebuild --collection {collection}")
