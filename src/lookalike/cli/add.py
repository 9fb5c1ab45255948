"""`lookalike add` and `export`: images to embeddings, into a database or a file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

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
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out what matches, as in a .gitignore file; may be given several times.",
)
@click.option("--hidden", is_flag=True, help="Take files and folders that begin with a dot too.")
@click.option("--prune", is_flag=True, help="Remove the rows below PATH whose files are gone.")
@click.option("--retry", is_flag=True, help="Try files again that have failed before.")
@click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Images embedded at once.")
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="For decoding one file.",
)
@database_option
@collection_option
@model_option
@output_options
def add(
    paths: tuple[str, ...],
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Embed images and store them.

    PATH is an image, a folder (with all below it) or a glob. What is stored already is left
    alone, a file that has changed is embedded again, and one that was renamed or copied gets the
    embedding of the same bytes. Files that cannot be read are listed and skipped, and the exit
    status is then 1; they are tried again when they change. Interrupted or killed, it loses
    nothing: the same command again does the rest.
    """
    with connect(database, out) as db:
        images = db.collection(collection, model=model)
        with _bar(out, "Adding") as progress:
            report = images.add(*paths, progress=progress, **options)
        _tell(out, report, f"to {collection}", model=images.model_id, collection=collection)


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
def _bar(out: Output, what: str) -> Iterator[Callable[[int, int | None], None]]:
    with out.progress("images") as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _tell(out: Output, report: AddReport, where: str, **facts: object) -> None:
    """Print what was done, and leave with status 1 where files failed."""
    for failure in report.failed:
        out.warn(f"skipped {failure}")
    if out.as_json:
        out.json({**facts, **_document(report)})
    else:
        out.say(_summary(report, where))
        if out.verbose:
            rates = (f"{stage} {rate:,.0f}" for stage, rate in report.stages.items())
            out.say(f"Each stage by itself, in images/s: {', '.join(rates)}.")
    if report.failed or report.failed_before:
        raise click.exceptions.Exit(DONE_WITH_FAILURES)


def _document(report: AddReport) -> dict[str, object]:
    counts = asdict(report)
    for kind in ("failed", "failed_before"):
        counts[kind] = [{"path": f.path, "reason": f.reason} for f in getattr(report, kind)]
    counts["seconds"] = round(report.seconds, 3)
    counts["stages"] = {stage: round(rate, 1) for stage, rate in report.stages.items()}
    return {**counts, "images_per_second": round(report.images_per_second, 2)}


def _summary(report: AddReport, where: str) -> str:
    stored = report.added + report.reused
    copies = f" ({report.reused:,} by their bytes, without the model)" if report.reused else ""
    parts = [f"Added {stored:,} {_plural('image', stored)} {where}{copies}"]
    others = {
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "skipped": len(report.failed),
        "still unreadable (see lookalike failures)": len(report.failed_before),
    }
    parts += [f"{count:,} {what}" for what, count in others.items() if count]
    speed = f" ({report.images_per_second:.1f} images/s)" if stored + report.updated else ""
    return ", ".join(parts) + speed + "."


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
