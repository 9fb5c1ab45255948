"""`lookalike add`, `search` and `export`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

import click

from lookalike import AddReport, InputError, Text, export_sql, load_model
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    model_option,
    output_options,
)
from lookalike.cli.output import Output

DONE_WITH_FAILURES = 1


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@database_option
@collection_option
@model_option
@output_options
def add(
    paths: tuple[str, ...], database: str | None, collection: str, model: str | None, out: Output
) -> None:
    """Embed images and store them.

    PATH is an image, a folder (with all below it) or a glob. What is stored already is left
    alone, a file that has changed is embedded again. Files that cannot be read are listed and
    skipped, and the exit status is then 1.
    """
    with connect(database, out) as db:
        images = db.collection(collection, model=model)
        with _bar(out, "Adding") as progress:
            report = images.add(*paths, progress=progress)
        _tell(out, report, f"to {collection}", model=images.model.id, collection=collection)


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
    if (query is None) == (text is None):
        raise InputError("give one query: an image, or --text WORDS")
    asked = query if text is None else Text(text)
    assert asked is not None
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
        paths = {record.id: record.path for record in images.records(m.id for m in matches)}
    if out.as_json:
        found = [
            {
                "id": match.id,
                "image_name": match.image_name,
                "similarity": match.similarity,
                "path": paths.get(match.id),
            }
            for match in matches
        ]
        out.json({"query": text or query, "matches": found, "contact_sheet": sheet})
    elif matches:
        rows = [(match.image_name, f"{match.similarity:.4f}") for match in matches]
        out.table(["image_name", "similarity"], rows)
    else:
        out.say("Nothing is that similar." if min_similarity is not None else "Nothing is stored.")
    if sheet:
        out.say(f"Contact sheet: {sheet}")
    if open_sheet and sheet:
        click.launch(str(sheet))


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE.sql")
@collection_option
@model_option
@output_options
def export(
    paths: tuple[str, ...], file: Path, collection: str, model: str | None, out: Output
) -> None:
    """Write the embeddings of images to FILE.sql, without a database.

    Load it into any MySQL 9 with: mysql DATABASE < FILE.sql
    """
    loaded = load_model(model or "auto", notify=out.say)
    with _bar(out, "Embedding") as progress:
        report = export_sql(*paths, file=file, table=collection, model=loaded, progress=progress)
    _tell(out, report, f"to {file}", model=loaded.id, file=file)


@contextmanager
def _bar(out: Output, what: str) -> Iterator[Callable[[int, int], None]]:
    with out.progress("images") as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(out: Output, report: AddReport, where: str, **facts: object) -> None:
    """Print what was done, and leave with status 1 where files failed."""
    for failure in report.failed:
        out.warn(f"skipped {failure.reason}")
    if out.as_json:
        out.json(
            {
                **facts,
                "added": report.added,
                "updated": report.updated,
                "unchanged": report.unchanged,
                "failed": [{"path": f.path, "reason": f.reason} for f in report.failed],
                "seconds": round(report.seconds, 3),
                "images_per_second": round(report.images_per_second, 2),
            }
        )
    else:
        out.say(_summary(report, where))
    if report.failed:
        raise click.exceptions.Exit(DONE_WITH_FAILURES)


def _summary(report: AddReport, where: str) -> str:
    parts = [f"Added {report.added:,} {_plural('image', report.added)} {where}"]
    if report.updated:
        parts.append(f"updated {report.updated:,}")
    if report.unchanged:
        parts.append(f"{report.unchanged:,} unchanged")
    if report.failed:
        parts.append(f"{len(report.failed):,} skipped")
    speed = f" ({report.images_per_second:.1f} images/s)" if report.added + report.updated else ""
    return ", ".join(parts) + speed + "."


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
