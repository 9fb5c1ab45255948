"""`lookalike add` and `export`: embed images and store them in a database or a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

import lookalike
from lookalike import InputError
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    force_option,
    model_option,
    output_options,
)
from lookalike.cli.output import Output, printable

if TYPE_CHECKING:
    from lookalike import AddReport, AttributesReport, Collection

DONE_WITH_FAILURES = 1
_SHOWN = 5


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option(
    "--attributes",
    metavar="FILE",
    help="Attributes for filters, for new and stored images: a CSV, JSON lines or Parquet file "
    "with a column `path`. Without PATH, only attributes are set.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Skip files that match, as in .gitignore. Can be repeated.",
)
@click.option(
    "--hidden", is_flag=True, help="Include files and folders whose names begin with a dot."
)
@click.option(
    "--prune", is_flag=True, help="Remove the rows of files below PATH that no longer exist."
)
@click.option(
    "--facts",
    is_flag=True,
    help="Set attributes from what the files tell, also of stored images: taken_at, camera, "
    "format, width, height, file_size, folder.",
)
@click.option("--location", is_flag=True, help="With --facts: also latitude and longitude.")
@click.option("--dry-run", is_flag=True, help="With --prune: only show what would be removed.")
@click.option("--retry", is_flag=True, help="Retry files that failed before.")
@click.option(
    "--batch-size", type=click.IntRange(1), metavar="N", help="How many images to embed at once."
)
@click.option(
    "--time-limit",
    type=click.FloatRange(0, min_open=True),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for decoding one file.",
)
@database_option
@collection_option
@model_option
@output_options
def add(
    paths: tuple[str, ...],
    attributes: str | None,
    dry_run: bool,
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Embed images and store them.

    PATH is an image, a folder (with its subfolders) or a glob. Stored files that have not changed
    are skipped, changed files are embedded again, moved and renamed files keep their row, and
    copies reuse the embedding of the same bytes. Unreadable files are listed and skipped, and the
    exit status is 1; they are retried when they change. If it is interrupted or killed, run the
    same command again: nothing is lost.
    """
    if not paths and not attributes:
        raise click.UsageError("Missing argument 'PATH...'.")
    if dry_run:
        _check_dry_run(paths, attributes, options["prune"])
    _check_facts(paths, facts=options["facts"], location=options["location"])
    # Read the file first, so that its errors appear before images are embedded.
    given = lookalike.read_attributes(attributes) if attributes else None
    report, stored = None, None
    with connect(database, out, computes=True) as db:
        images = db.collection(collection, model=model)
        if dry_run:
            _print_gone(out, images, paths, options)
            return
        if paths:
            with _bar(out, "Adding") as progress:
                report = images.add(*paths, progress=progress, **options)
            _print(out, report, f"to {collection}")
        if given:
            stored = images.attributes.set(given, *paths)
            _print_attributes(out, stored, collection)
        facts = {"model": images.model_id, "collection": collection}
    if out.as_json:
        added = _document(report) if report else {}
        out.json({**facts, **added, **({"attributes": asdict(stored)} if stored else {})})
    if (report and _has_failed(report)) or (stored and stored.unmatched):
        raise click.exceptions.Exit(DONE_WITH_FAILURES)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE.sql")
@force_option
@collection_option
@model_option
@output_options
def export(
    paths: tuple[str, ...],
    file: Path,
    force: bool,
    collection: str,
    model: str | None,
    out: Output,
) -> None:
    """Write the embeddings of images to FILE.sql, without a database.

    Load it into any MySQL 9 with: mysql DATABASE < FILE.sql

    With - as FILE.sql it goes to standard output.
    """
    is_output = str(file) == "-"
    if is_output and out.as_json:
        raise InputError("--json prints to standard output, too: give a file instead of -")
    with _bar(out, "Embedding") as progress:
        report = lookalike.export_sql(
            *paths,
            file=_standard_output() if is_output else file,
            force=force,
            table=collection,
            model=model or "auto",
            progress=progress,
            notify=out.say,
        )
    _print(out, report, "to standard output" if is_output else f"to {file}")
    if out.as_json:
        out.json({"file": file, **_document(report)})
    if _has_failed(report):
        raise click.exceptions.Exit(DONE_WITH_FAILURES)


def _standard_output() -> TextIO:
    """Return standard output in UTF-8, whatever the locale."""
    return open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)


def _check_dry_run(paths: tuple[str, ...], attributes: str | None, prune: bool) -> None:
    if not prune or not paths:
        raise click.UsageError("--dry-run needs --prune and a PATH")
    if attributes:
        raise click.UsageError("--dry-run cannot be combined with --attributes")


def _check_facts(paths: tuple[str, ...], *, facts: bool, location: bool) -> None:
    if location and not facts:
        raise click.UsageError("--location needs --facts")
    if facts and not paths:
        raise click.UsageError("--facts needs a PATH")


def _print_gone(
    out: Output, images: Collection, paths: tuple[str, ...], options: dict[str, Any]
) -> None:
    """Show what --prune would remove."""
    found = images.gone(*paths, exclude=options["exclude"], hidden=options["hidden"])
    if out.as_json:
        rows = [{"id": row.id, "path": row.path} for row in found]
        out.json({"collection": images.name, "is_dry_run": True, "gone": rows})
        return
    for row in found:
        click.echo(printable(str(row.path)))
    whose = "image whose file is" if len(found) == 1 else "images whose files are"
    out.say(f"Would remove from {images.name}: {len(found):,} {whose} gone. Nothing was changed.")


@contextmanager
def _bar(out: Output, what: str) -> Iterator[Callable[[int, int | None], None]]:
    with out.progress("images") as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(out: Output, report: AddReport, where: str) -> None:
    """Report what was done; --json reports the counts elsewhere."""
    for failure in report.failed:
        out.warn(f"skipped {failure}")
    if not out.as_json:
        out.say(_summary(report, where))
        if out.verbose:
            rates = (f"{stage} {rate:,.0f}" for stage, rate in report.stages.items())
            out.say(f"Speed of each stage, in images/s: {', '.join(rates)}.")


def _print_attributes(out: Output, report: AttributesReport, collection: str) -> None:
    missing = len(report.unmatched)
    if missing:
        some = ", ".join(report.unmatched[:_SHOWN]) + (", ..." if missing > _SHOWN else "")
        out.warn(f"{missing:,} {_plural('row', missing)} without a stored image: {some}")
    for name, kind in report.kinds.items():
        if "/" in kind:
            out.warn(
                f"{name} has values of several kinds ({kind}); each is compared as its own kind"
            )
    if not out.as_json:
        kinds = ", ".join(f"{name} ({kind})" for name, kind in report.kinds.items())
        images = f"{report.stored:,} {_plural('image', report.stored)}"
        rest = (
            f"; {report.without:,} in {collection} have no row in the file"
            if report.without
            else ""
        )
        out.say(f"Set attributes of {images}{rest}: {kinds}.")


def _has_failed(report: AddReport) -> bool:
    return bool(report.failed or report.failed_before)


def _document(report: AddReport) -> dict[str, object]:
    counts = asdict(report)
    for kind in ("failed", "failed_before"):
        counts[kind] = [{"path": f.path, "reason": f.reason} for f in getattr(report, kind)]
    counts["seconds"] = round(report.seconds, 3)
    counts["stages"] = {stage: round(rate, 1) for stage, rate in report.stages.items()}
    return {**counts, "images_per_second": round(report.images_per_second, 2)}


def _summary(report: AddReport, where: str) -> str:
    stored = report.added + report.reused
    copies = f" ({report.reused:,} from copies already embedded)" if report.reused else ""
    parts = [f"Added {stored:,} {_plural('image', stored)} {where}{copies}"]
    others = {
        "moved": report.moved,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "with facts read": report.facts,
        "no longer exist (--prune removes their rows)": report.gone,
        "skipped": len(report.failed),
        "still unreadable (`lookalike failures` lists them)": len(report.failed_before),
    }
    parts += [f"{count:,} {what}" for what, count in others.items() if count]
    speed = f" ({report.images_per_second:.1f} images/s)" if stored + report.updated else ""
    return ", ".join(parts) + speed + "."


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
