"""`lookalike add` and `export`: embed images and store them in a database or a file."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

import lookalike
from lookalike import IndexKind, InputError
from lookalike.cli.options import (
    check_location,
    collection_option,
    connect,
    database_option,
    force_option,
    index_kind_option,
    model_option,
    output_options,
    time_limit_option,
    walk_options,
)
from lookalike.cli.output import Output, printable
from lookalike.cli.ray import cluster_of, ray_options
from lookalike.cli.reports import document_of, plural, print_report, progress_bar
from lookalike.cli.statuses import DONE_WITH_FAILURES

if TYPE_CHECKING:
    from lookalike import AttributesReport, Collection

_SHOWN = 5


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH...")
@click.option(
    "--attributes",
    metavar="FILE",
    help="Attributes for filters, for new and stored images: a CSV, JSON lines or Parquet file "
    "with a column `path`. Without PATH, only attributes are set.",
)
@walk_options
@click.option("--dry-run", is_flag=True, help="With --prune: only show what would be removed.")
@click.option("--retry", is_flag=True, help="Retry files that failed before.")
@click.option("--ignore-failed", is_flag=True, help="Exit with 0 even if files could not be read.")
@click.option(
    "--batch-size", type=click.IntRange(1), metavar="N", help="How many images to embed at once."
)
@time_limit_option
@ray_options
@index_kind_option
@click.option(
    "--shards",
    metavar="NAMES",
    help="Spread a new collection over these servers, as server1,server2: their names in CREATE "
    "SERVER, on MariaDB with Spider.",
)
@database_option
@collection_option
@model_option
@output_options
def add(
    paths: tuple[str, ...],
    attributes: str | None,
    dry_run: bool,
    ignore_failed: bool,
    address: str | None,
    workers: tuple[int, int | None] | None,
    gpus_per_worker: float | None,
    kind: IndexKind | None,
    shards: str | None,
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Embed images and store them.

    PATH is an image, a folder (with its subfolders), a glob, or a URL such as s3://bucket/folder.
    Stored files that have not changed are skipped, changed files are embedded again, moved and
    renamed files keep their row, and copies reuse the embedding of the same bytes. Unreadable files
    are listed and skipped. If it is interrupted or killed, run the same command again: nothing is
    lost.

    Exit status: 0 done, 1 done but some files could not be read, 2 not done. Damaged files that an
    earlier run has listed are retried when they change, and do not count until then; files that
    cannot be opened are retried and count every time.
    """
    cluster = cluster_of(address, workers, gpus_per_worker)
    if not paths and not attributes:
        raise click.UsageError("Missing argument 'PATH...'.")
    if dry_run:
        _check_dry_run(paths, attributes, options["prune"])
    if options["facts"] and not paths:
        raise click.UsageError("--facts needs a PATH")
    check_location(facts=options["facts"], location=options["location"])
    # Read the file first, so that its errors appear before images are embedded.
    given = lookalike.read_attributes(attributes) if attributes else None
    report, stored = None, None
    with connect(database, out, computes=True) as db:
        spread = shards.split(",") if shards else []
        images = db.collection(collection, model=model, shards=spread)
        if dry_run:
            _print_gone(out, images, paths, options)
            return
        if paths:
            with progress_bar(out, "Adding") as progress:
                report = images.add(*paths, index=kind, ray=cluster, progress=progress, **options)
            print_report(out, report, f"to {collection}")
        if given:
            stored = images.attributes.set(given, *paths)
            _print_attributes(out, stored, collection)
        facts = {"model": images.model_id, "collection": collection}
    if out.as_json:
        added = document_of(report) if report else {}
        out.json({**facts, **added, **({"attributes": asdict(stored)} if stored else {})})
    has_failed = report and report.failed and not ignore_failed
    if has_failed or (stored and stored.unmatched):
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
    with progress_bar(out, "Embedding") as progress:
        report = lookalike.export_sql(
            *paths,
            file=_standard_output() if is_output else file,
            force=force,
            table=collection,
            model=model or "auto",
            progress=progress,
            notify=out.say,
        )
    print_report(out, report, "to standard output" if is_output else f"to {file}")
    if out.as_json:
        out.json({"file": file, **document_of(report)})
    if report.failed:
        raise click.exceptions.Exit(DONE_WITH_FAILURES)


def _standard_output() -> TextIO:
    """Return standard output in UTF-8, whatever the locale."""
    return open(sys.stdout.fileno(), "w", encoding="utf-8", closefd=False)


def _check_dry_run(paths: tuple[str, ...], attributes: str | None, prune: bool) -> None:
    if not prune or not paths:
        raise click.UsageError("--dry-run needs --prune and a PATH")
    if attributes:
        raise click.UsageError("--dry-run cannot be combined with --attributes")


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


def _print_attributes(out: Output, report: AttributesReport, collection: str) -> None:
    missing = len(report.unmatched)
    if missing:
        some = ", ".join(report.unmatched[:_SHOWN]) + (", ..." if missing > _SHOWN else "")
        out.warn(f"{missing:,} {plural('row', missing)} without a stored image: {some}")
    for name, kind in report.kinds.items():
        if "/" in kind:
            out.warn(
                f"{name} has values of several kinds ({kind}); each is compared as its own kind"
            )
    if not out.as_json:
        kinds = ", ".join(f"{name} ({kind})" for name, kind in report.kinds.items())
        images = f"{report.stored:,} {plural('image', report.stored)}"
        rest = (
            f"; {report.without:,} in {collection} have no row in the file"
            if report.without
            else ""
        )
        out.say(f"Set attributes of {images}{rest}: {kinds}.")
