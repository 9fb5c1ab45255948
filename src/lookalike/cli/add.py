"""`lookalike add` and `export`: images to embeddings, into a database or a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from lookalike import AddReport, export_sql
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
    with _bar(out, "Embedding") as progress:
        report = export_sql(
            *paths,
            file=file,
            table=collection,
            model=model or "auto",
            progress=progress,
            notify=out.say,
        )
    _tell(out, report, f"to {file}", file=file)


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
