"""`lookalike search`: the stored images most like a query."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import gettempdir
from typing import TypedDict

import click

from lookalike import Collection, Explanation, InputError, Match, Text
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    model_option,
    output_options,
)
from lookalike.cli.output import Output


@click.command()
@click.argument("query", required=False)
@click.option("--text", help="Search by words instead: free text with CLIP, else names.")
@click.option("-k", type=int, default=10, show_default=True, help="How many results.")
@click.option("--min-similarity", type=float, metavar="S", help="Leave out what is less similar.")
@click.option("--exact", is_flag=True, help="Compare every image, without the index.")
@click.option("--n-probes", type=int, metavar="N", help="How many of the index's cells to read.")
@click.option(
    "--oversampling", type=float, metavar="X", help="Compare the k * X best estimates exactly."
)
@click.option("--explain", is_flag=True, help="Tell the plan, the SQL, the rows and the times.")
@click.option("--show-sql", is_flag=True, help="Print the SQL instead of running it.")
@click.option("--open", "open_sheet", is_flag=True, help="Show the matches as a page of pictures.")
@click.option(
    "--contact-sheet",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.html",
    help="Write that page to a file.",
)
@database_option
@collection_option
@model_option
@output_options
def search(
    query: str | None,
    text: str | None,
    k: int,
    min_similarity: float | None,
    exact: bool,
    n_probes: int | None,
    oversampling: float | None,
    explain: bool,
    show_sql: bool,
    open_sheet: bool,
    contact_sheet: Path | None,
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
) -> None:
    """Find the stored images most similar to QUERY.

    QUERY is an image's path or http(s) URL, or the name or id of a stored image.
    """
    asked = _query(query, text)
    options = _Options(
        k=k,
        min_similarity=min_similarity,
        exact=exact,
        n_probes=n_probes,
        oversampling=oversampling,
    )
    with connect(database, out) as db:
        images = db.collection(collection, model=model)
        if show_sql:
            statement = images.search_sql(asked, **options)
            out.json({"sql": str(statement)}) if out.as_json else click.echo(f"{statement};")
            return
        if explain:
            _explain(out, images.search(asked, **options, explain=True))
            return
        matches = images.search(asked, **options)
        sheet = None
        if contact_sheet or open_sheet:
            file = contact_sheet or Path(gettempdir(), f"lookalike-{collection}.html")
            sheet = images.contact_sheet(file, asked, matches)
        _show(out, text or query, images, matches, sheet)
    if open_sheet:
        click.launch(str(sheet))


class _Options(TypedDict):
    k: int
    min_similarity: float | None
    exact: bool
    n_probes: int | None
    oversampling: float | None


def _query(query: str | None, text: str | None) -> str | Text:
    if query is not None and text is None:
        return query
    if text is not None and query is None:
        return Text(text)
    raise InputError("give one query: an image, or --text WORDS")


def _show(
    out: Output,
    query: str | None,
    images: Collection,
    matches: Sequence[Match],
    sheet: Path | None,
) -> None:
    if out.as_json:
        paths = {record.id: record.path for record in images.records(m.id for m in matches)}
        found = [
            {
                "id": match.id,
                "image_name": match.image_name,
                "similarity": match.similarity,
                "path": paths.get(match.id),
            }
            for match in matches
        ]
        out.json({"query": query, "matches": found, "contact_sheet": sheet})
    elif matches:
        rows = [(match.image_name, f"{match.similarity:.4f}") for match in matches]
        out.table(["image_name", "similarity"], rows)
    else:
        out.say("Nothing stored is that similar." if len(images) else f"{images.name} is empty.")
    if sheet:
        out.say(f"Contact sheet: {sheet}")


def _explain(out: Output, found: Explanation) -> None:
    if out.as_json:
        out.json(asdict(found))
        return
    click.echo(f"Plan: {found.plan}\n")
    rows = [
        (s.name, f"{s.milliseconds:.2f}", "" if s.rows is None else s.rows) for s in found.steps
    ]
    out.table(["step", "ms", "rows"], rows)
    for step in found.steps:
        if step.sql:
            click.echo(f"\n{step.name}:\n{_abbreviated(step.sql)}")
    click.echo(f"\n{found.analysis}")
    shown = [(match.image_name, f"{match.similarity:.4f}") for match in found.matches]
    out.table(["image_name", "similarity"], shown)


def _abbreviated(sql: str) -> str:
    """The statement with one cell to probe, instead of all."""
    probe = "ROW(%s, %s, %s, %s, %s, %s, %s)"
    first, *others = sql.split(f", {probe}")
    return first + (f", ... {len(others)} more" if others else "") + (others[-1] if others else "")
