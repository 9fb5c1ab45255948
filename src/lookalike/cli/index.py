"""`lookalike index`: create, check, rebuild and refresh indexes."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, get_args

import click

from lookalike import IndexKind, IndexSizes, Metric
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    index_kind_option,
    output_options,
)
from lookalike.cli.output import Output, describe_plan

if TYPE_CHECKING:
    from lookalike import IndexReport, IndexStatus

INCONSISTENT = 1
_SHOWN = 10
_NO_INDEX = (
    "none: searches compare every row; index refresh makes one when there are "
    f"{IndexSizes().fewest_rows} rows"
)
_KEPT = {
    "triggers": "triggers log every change",
    "tail": "new rows are searched exactly; other changes need `index refresh` or `index rebuild`",
    "new": "its creation was interrupted: run `index create` again",
    "add": "lookalike's own writes keep it",
    "server": "every change, also by other programs",
}

recall_option = click.option(
    "--recall",
    type=click.FloatRange(0.5, 0.999),
    metavar="R",
    help="Target recall: the share of the true 10 nearest to find. Default for a new index: 0.99.",
)


@click.group()
def index() -> None:
    """The index of a collection, or of a table of your own."""


@index.command()
@click.argument("target", required=False, metavar="[DATABASE.]TABLE.COLUMN")
@click.option("--schema", metavar="NAME", help="The table's database, if its name has dots.")
@click.option("--table", metavar="NAME", help="The table, if its name has dots.")
@click.option("--column", metavar="NAME", help="The VECTOR column, if its name has dots.")
@click.option("--id", "id_", metavar="NAME", help="The key. Default: the primary key.")
@click.option("--name", metavar="NAME", help="A column with the rows' names.")
@click.option(
    "--metric", type=click.Choice(get_args(Metric)), help="How searches rank. Default: cosine."
)
@click.option("--as", "alias", metavar="NAME", help="Its name here. Default: the table's.")
@database_option
@output_options
def create(
    target: str | None,
    schema: str | None,
    table: str | None,
    column: str | None,
    id_: str | None,
    name: str | None,
    metric: Metric | None,
    alias: str | None,
    database: str | None,
    out: Output,
) -> None:
    """Index a VECTOR column of a table of your own.

    The table itself is never altered. Names are written as they are, without quotes:

    \b
    lookalike index create shop.products.embedding --id product_id
    lookalike search 17 --collection products
    """
    if target is not None:
        if schema or table or column:
            raise click.UsageError("give TABLE.COLUMN, or --table and --column, not both")
        schema, table, column = _split(target)
    if table is None:
        raise click.UsageError("name a table and its column, as shop.products.embedding")
    with connect(database, out, computes=True) as db:
        images = db.table(
            table, schema=schema, vector=column, id=id_, name=name, metric=metric, alias=alias
        )
        status = images.index.status()
        if status.rows and not status.indexed:  # a creation that was interrupted
            status = images.index.refresh()
    _tell_status(out, [status])


def _split(target: str) -> tuple[str | None, str, str]:
    parts = target.split(".")
    if len(parts) not in (2, 3) or not all(parts):
        raise click.UsageError(
            f"{target!r} is not TABLE.COLUMN or DATABASE.TABLE.COLUMN; give names that have dots "
            "with --schema, --table and --column"
        )
    return (parts[0] if len(parts) == 3 else None), parts[-2], parts[-1]


@index.command()
@database_option
@collection_option
@output_options
def check(database: str | None, collection: str, out: Output) -> None:
    """Compare every code with its embedding; exit status 1 if they differ."""
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        report, status = images.index.check(), images.index.status()
    _tell(out, collection, report, status)


@index.command()
@index_kind_option
@recall_option
@database_option
@collection_option
@output_options
def rebuild(
    kind: IndexKind | None,
    recall: float | None,
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Build the index again; the old one is used until it is ready.

    `lookalike add` builds the index and keeps it up to date, so you rarely need this command.
    Use it after another program has changed embeddings, and where a trigger or the log of a table
    of your own is missing.
    """
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        with out.progress("embeddings") as bar:
            task = bar.add_task("Training", total=None)
            built = images.index.build(
                kind=kind,
                target_recall=recall,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        if not built:
            out.say(
                f"No index was built: {collection} is small enough for exact search, or "
                "another process is building it."
            )
        report, status = images.index.check(), images.index.status()
    _tell(out, collection, report, status)


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text, re.ASCII)
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
    if not 0.1 <= seconds <= 86_400:
        raise click.BadParameter(f"{text!r} is no time from 0.1s to 24h, such as 30s, 5m or 1h")
    return seconds


@index.command()
@click.option("--watch", is_flag=True, help="Refresh again and again, until Ctrl-C.")
@click.option(
    "--schedule/--unschedule",
    default=None,
    help="Let the server refresh it again and again by an event, without this program; or no "
    "longer. For tables of your own; needs the EVENT privilege and `install-functions`.",
)
@click.option(
    "--every",
    metavar="TIME",
    callback=lambda context, option, text: _seconds(text),
    help="How long to wait in between, as 30s or 5m. Default: 1s with --watch, 1m with --schedule.",
)
@database_option
@collection_option
@output_options
def refresh(
    watch: bool,
    schedule: bool | None,
    every: float | None,
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Bring the index up to date with what other programs have changed.

    Searches see these changes before too, but take longer the more there are.
    """
    if watch and schedule is not None:
        raise click.UsageError("--watch does not go with --schedule or --unschedule")
    if every is not None and not (watch or schedule):
        raise click.UsageError("--every goes with --watch or --schedule")
    if schedule and every is not None and every != int(every):
        raise click.UsageError("--schedule takes whole seconds")
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        index = images.index
        status = index.unschedule() if schedule is False else index.refresh()
        if schedule:
            status = index.schedule(int(every or 60))
        while watch:
            time.sleep(every or 1)
            status = index.refresh(compare=False)
    _tell_status(out, [status])


@index.command()
@click.option("--collection", metavar="NAME", help="The one to show. Default: all your own tables.")
@database_option
@output_options
def status(collection: str | None, database: str | None, out: Output) -> None:
    """Show how indexes are kept, and how fresh they are."""
    with connect(database, out) as db:
        found = [db.collection(collection).index.status()] if collection else db.tables()
    _tell_status(out, found)


@index.command()
@click.argument("name")
@database_option
@output_options
def drop(name: str, database: str | None, out: Output) -> None:
    """Drop the index of a collection or of a table of your own, with its triggers.

    The table stays. Searches compare every row then. `lookalike add` and `lookalike index rebuild`
    make a collection's index again: the server's where it has one for the metric.
    """
    with connect(database, out) as db:
        db.drop_index(name)
    if out.as_json:
        out.json({"dropped": name})
    else:
        out.say(f"Dropped the index of {name}; the table stays as it is.")


@index.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@database_option
@collection_option
@output_options
def attribute(names: tuple[str, ...], database: str | None, collection: str, out: Output) -> None:
    """Create a database index on attributes, for faster --where."""
    with connect(database, out) as db:
        images = db.collection(collection)
        made = {name: images.attributes.index(name) for name in names}
    if out.as_json:
        out.json({"collection": images.name, "made": made})
        return
    for name, is_new in made.items():
        out.say(f"Indexed {name} of {images.name}." if is_new else f"{name} already has an index.")


def _tell(out: Output, collection: str, report: IndexReport, status: IndexStatus) -> None:
    plan = status.plan
    if out.as_json:
        out.json(
            {
                "collection": collection,
                "rows": report.rows,
                "codes": report.codes,
                "missing": report.missing,
                "stale": report.stale,
                "pending": report.pending,
                "problems": report.problems,
                "is_consistent": report.is_consistent,
                "plan": asdict(plan) if plan else None,
                "kind": status.kind,
            }
        )
    elif report.is_consistent:
        found = f"{report.codes:,} codes, all correct" if report.codes else "no index yet"
        if status.kind == "server":
            found = f"indexed by the server ({_of_server(status)})"
        out.say(f"{collection}: {report.rows:,} embeddings, {found}.")
        if plan:
            out.say(f"Index: {describe_plan(plan)}.")
    else:
        _warn(out, collection, report)
    if not report.is_consistent:
        raise click.exceptions.Exit(INCONSISTENT)


def _warn(out: Output, collection: str, report: IndexReport) -> None:
    for problem in report.problems:
        out.warn(f"{problem[:1].upper()}{problem[1:]}.")
    for name, ids in (("missing", report.missing), ("stale", report.stale)):
        if ids:
            some = ", ".join(map(str, ids[:_SHOWN])) + (", ..." if len(ids) > _SHOWN else "")
            out.warn(f"{name} codes: {len(ids):,} (ids {some})")
    out.warn(
        "The next `lookalike add`, or `lookalike index refresh`, repairs rows that other programs "
        "inserted or deleted. If they changed embeddings, run:"
    )
    out.warn(f"lookalike index rebuild --collection {collection}")


def _tell_status(out: Output, found: list[IndexStatus]) -> None:
    if out.as_json:
        out.json([asdict(each) for each in found])
    elif not found:
        out.say("No table of yours has an index. Create one with: lookalike index create")
    for each in found if not out.as_json else ():
        click.echo("\n".join([each.name, *(f"  {line}" for line in _lines(each))]))


def _with_remedy(problem: str, name: str) -> str:
    if "run lookalike" in problem:
        return problem
    return f"{problem}: run lookalike index rebuild --collection {name}"


def _of_server(status: IndexStatus) -> str:
    return f"HNSW, M = {status.edges}, {status.metric}" if status.edges else "made by SQL"


def _lines(status: IndexStatus) -> list[str]:
    name = f", names in {status.name_column}" if status.name_column else ""
    index = f"{status.indexed:,} of {status.rows:,} rows"
    if status.plan:
        index += f"; {describe_plan(status.plan)}"
    elif status.kind == "server":
        index = f"the server's own, {_of_server(status)}, of {status.indexed:,} rows"
    some = "1 change or new row is" if status.pending == 1 else f"{status.pending:,} changes are"
    pending = f"{some} searched exactly until index refresh"
    return [
        f"table    {status.table}, key {status.id_column}{name}",
        f"vectors  {status.vector}, by {status.metric}",
        f"index    {index if status.kind else _NO_INDEX}",
        f"kept by  {status.kept}: {_KEPT[status.kept]}",
        f"pending  {pending if status.pending else 'nothing: the index is up to date'}",
        *([f"event    the server refreshes it {status.scheduled}"] if status.scheduled else []),
        *(f"problem  {_with_remedy(problem, status.name)}" for problem in status.problems),
    ]
