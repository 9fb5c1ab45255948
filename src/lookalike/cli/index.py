"""`lookalike index`: build and check the index."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike.cli.options import collection_option, connect, database_option, output_options
from lookalike.cli.output import Output, describe_plan

if TYPE_CHECKING:
    from lookalike import Collection, IndexReport, Plan

INCONSISTENT = 1
_SHOWN = 10


@click.command()
@click.option("--check", is_flag=True, help="Check every code against its embedding.")
@click.option(
    "--rebuild", is_flag=True, help="Build the index again; the old one is used until it is ready."
)
@click.option(
    "--recall",
    type=click.FloatRange(0.5, 0.999),
    metavar="R",
    help="Target recall: the share of the true 10 nearest to find. Default for a new index: 0.99.",
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME",
    help="Instead, create a database index on an attribute, for faster --where.",
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
    """Build or check the index of a collection.

    `lookalike add` builds the index and keeps it up to date, so you rarely need this command.
    --check compares it with the table (exit status 1 if they differ). Use --rebuild after another
    program has changed embeddings.
    """
    if check and rebuild:
        raise click.UsageError("give --check or --rebuild, not both")
    if attributes and (check or rebuild or recall):
        raise click.UsageError("--attribute cannot be combined with --check, --rebuild or --recall")
    if check and recall is not None:
        raise click.UsageError("give --check or --recall, not both")
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        if attributes:
            _index_attributes(out, images, attributes)
            return
        if not check:
            with out.progress("embeddings") as bar:
                task = bar.add_task("Training", total=None)
                built = images.index.build(
                    target_recall=recall,
                    progress=lambda done, total: bar.update(task, completed=done, total=total),
                )
            if not built:
                out.say(
                    f"No index was built: {collection} is small enough for exact search, or "
                    "another process is building it."
                )
        report = images.index.check()
        plan = images.status().plan
    _tell(out, collection, report, plan)
    if not report.is_consistent:
        raise click.exceptions.Exit(INCONSISTENT)


def _index_attributes(out: Output, images: Collection, names: tuple[str, ...]) -> None:
    made = {name: images.attributes.index(name) for name in names}
    if out.as_json:
        out.json({"collection": images.name, "made": made})
        return
    for name, is_new in made.items():
        out.say(f"Indexed {name} of {images.name}." if is_new else f"{name} already has an index.")


def _tell(out: Output, collection: str, report: IndexReport, plan: Plan | None) -> None:
    if out.as_json:
        out.json(
            {
                "collection": collection,
                "rows": report.rows,
                "codes": report.codes,
                "missing": report.missing,
                "stale": report.stale,
                "is_consistent": report.is_consistent,
                "plan": asdict(plan) if plan else None,
            }
        )
    elif report.is_consistent:
        kind = f"{report.codes:,} codes, all correct" if report.codes else "no index yet"
        out.say(f"{collection}: {report.rows:,} embeddings, {kind}.")
        if plan:
            out.say(f"Index: {describe_plan(plan)}.")
    else:
        for name, ids in (("missing", report.missing), ("stale", report.stale)):
            if ids:
                some = ", ".join(map(str, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
                out.warn(f"{name} codes: {len(ids):,} (ids {some})")
        out.warn(
            "The next `lookalike add` repairs rows that other programs inserted or deleted. If "
            "they changed embeddings, run:"
        )
        out.warn(f"lookalike index --rebuild --collection {collection}")
