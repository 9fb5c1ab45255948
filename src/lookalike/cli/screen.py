"""`lookalike screen` and `calibrate`: check whether images resemble any image of a collection."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

import lookalike
from lookalike import InputError
from lookalike.cli.lines import input_lines
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    index_memory_option,
    output_options,
)
from lookalike.cli.output import Output, json_of, printable

if TYPE_CHECKING:
    from lookalike import Calibration, Screening

MATCH, NOT_JUDGED = 1, 2


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--against", required=True, metavar="COLLECTION", help="The prohibited images.")
@click.option(
    "--min-similarity",
    type=float,
    metavar="S",
    help="The threshold: an image at least this similar is a match. Default: the stored one.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Skip files of folders that match, as in .gitignore. Can be repeated.",
)
@click.option(
    "--hidden", is_flag=True, help="Include files and folders whose names begin with a dot."
)
@click.option("-k", type=int, default=5, show_default=True, help="How many matches to show.")
@click.option(
    "--allow-private-urls", is_flag=True, help="Allow URLs of this machine and of private networks."
)
@index_memory_option
@database_option
@output_options
def screen(
    images: tuple[str, ...],
    against: str,
    min_similarity: float | None,
    exclude: tuple[str, ...],
    hidden: bool,
    k: int,
    allow_private_urls: bool,
    index_memory: int | None,
    database: str | None,
    out: Output,
) -> None:
    """Check whether images resemble any image of a collection.

    IMAGE is an image, a folder (with its subfolders), a glob, an http(s) URL, or a URL in a bucket,
    such as s3://bucket/folder. With - paths and URLs of images are read from standard input, one
    per line, and each answer is printed as soon as it is known. With --json each answer is one line
    of JSON.

    Exit status: 1 if an image matches, whatever else; else 2 if one could not be checked; 0 if all
    are clean.
    """
    is_stream = images == ("-",)
    if "-" in images and not is_stream:
        raise InputError("give images, or - for standard input, not both")
    if is_stream and (exclude or hidden):
        raise click.UsageError("--exclude and --hidden are for folders: they do not go with -")
    verdicts: Counter[str] = Counter()
    try:
        with connect(database, out, computes=True) as db:
            for answer in db.collection(against).screen(
                input_lines() if is_stream else images,
                min_similarity=min_similarity,
                k=k,
                allow_private_urls=allow_private_urls,
                folders=not is_stream,
                exclude=exclude,
                hidden=hidden,
                index_memory=index_memory,
            ):
                click.echo(_document(answer) if out.as_json else _sentence(answer))
                sys.stdout.flush()
                verdicts[_verdict(answer)] += 1
    except lookalike.LookalikeError as error:
        if not verdicts["match"]:
            raise
        out.warn(f"Error: {error}")
    _end(out, verdicts)


def _end(out: Output, verdicts: Counter[str]) -> None:
    """End the command with the status of its verdicts."""
    errors = verdicts["error"]
    if errors:
        images = "1 image" if errors == 1 else f"{errors:,} images"
        out.warn(f"{images} of {verdicts.total():,} could not be checked")
    if verdicts["match"] or errors:
        raise click.exceptions.Exit(MATCH if verdicts["match"] else NOT_JUDGED)


def _verdict(answer: Screening) -> str:
    return "error" if answer.error else "match" if answer.matches else "clean"


def _document(answer: Screening) -> str:
    matches = [
        {
            "id": match.id,
            "image_name": match.image_name,
            "similarity": match.similarity,
            "path": match.path,
        }
        for match in answer.matches
    ]
    return json_of(
        {
            "image": answer.image,
            "verdict": _verdict(answer),
            "matches": matches,
            "error": answer.error,
        }
    )


def _sentence(answer: Screening) -> str:
    found = answer.error or ", ".join(
        f"{match.path or match.image_name} ({match.similarity:.4f})" for match in answer.matches
    )
    verdict = _verdict(answer)
    return printable(f"{answer.image}: {verdict}" + (f": {found}" if found else ""))


@click.command()
@click.option(
    "--positives",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Images that should match: a file, folder or glob. Can be repeated.",
)
@click.option(
    "--negatives",
    required=True,
    multiple=True,
    metavar="PATH",
    help="Images that should not match.",
)
@click.option(
    "--max-false-positive-rate",
    type=float,
    metavar="RATE",
    help="Let at most this share of the negatives match (0 to 1).",
)
@click.option("--store", is_flag=True, help="Store the threshold with the collection.")
@database_option
@collection_option
@output_options
def calibrate(
    positives: tuple[str, ...],
    negatives: tuple[str, ...],
    max_false_positive_rate: float | None,
    store: bool,
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Suggest a threshold for `screen` from examples, with its error rates on them.

    Give a few dozen images of each kind: altered copies of stored images, as uploaders make them,
    and ordinary uploads.
    """
    with connect(database, out, computes=True) as db:
        found = db.collection(collection).threshold.calibrate(
            positives,
            negatives,
            max_false_positive_rate=max_false_positive_rate,
            store=store,
        )
    _warn_of_few(out, found)
    if out.as_json:
        out.json(asdict(found))
        return
    click.echo(
        f"min_similarity {found.min_similarity:.6g}: {found.false_positive_rate:.1%} of "
        f"{found.negatives:,} negatives match, {found.false_negative_rate:.1%} of "
        f"{found.positives:,} positives are missed"
    )
    if store:
        out.say(f"Stored: `lookalike screen --against {collection}` uses it from now on.")
    else:
        out.say("Not stored; add --store to use it in `lookalike screen`.")


def _warn_of_few(out: Output, found: Calibration) -> None:
    kinds = (
        ("positive", found.positives, found.enough_positives),
        ("negative", found.negatives, found.enough_negatives),
    )
    few = [
        f"{n:,} {kind}{'' if n == 1 else 's'} ({enough:,} would do)"
        for kind, n, enough in kinds
        if n < enough
    ]
    if few:
        out.warn(f"Warning: too few examples to rely on the rates: {' and '.join(few)}")
