"""`lookalike search`: the stored images most like a query."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir

import click

from lookalike import Collection, InputError, Match, Text
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
@click.option("--text", help="Search by words instead, for models that have text.")
@click.option("-k", type=int, default=10, show_default=True, help="How many results.")
@click.option("--min-similarity", type=float, metavar="S", help="Leave out what is less similar.")
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
    with connect(database, out) as db:
        images = db.collection(collection, model=model)
        if show_sql:
            statement = images.search_sql(asked, k=k, min_similarity=min_similarity)
            out.json({"sql": str(statement)}) if out.as_json else click.echo(f"{statement};")
            return
        matches = images.search(asked, k=k, min_similarity=min_similarity)
        sheet = None
        if contact_sheet or open_sheet:
            file = contact_sheet or Path(gettempdir(), f"lookalike-{collection}.html")
            sheet = images.contact_sheet(file, asked, matches)
        _show(out, text or query, images, matches, sheet)
    if open_sheet:
        click.launch(str(sheet))


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
