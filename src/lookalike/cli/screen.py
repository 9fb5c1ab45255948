"""`lookalike screen` and `calibrate`: check whether images resemble any image of a collection."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike import InputError
from lookalike.cli.lines import input_lines
from lookalike.cli.options import collection_option, connect, database_option, output_options
from lookalike.cli.output import Output, json_of, printable

if TYPE_CHECKING:
    from lookalike import Screening

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
@click.option("-k", type=int, default=5, show_default=True, help="How many matches to show.")
@click.option(
    "--allow-private-urls", is_flag=True, help="Allow URLs of this machine and of private networks."
)
@database_option
@output_options
def screen(
    images: tuple[str, ...],
    against: str,
    min_similarity: float | None,
    k: int,
    allow_private_urls: bool,
    database: str | None,
    out: Output,
) -> None:
    """Check whether images resemble any image of a collection.

    IMAGE is a path or an http(s) URL. With - they are read from standard input, one per line, and
    each answer is printed as soon as it is known. With --json each answer is one line of JSON.

    Exit status: 0 all clean, 1 some match, 2 some could not be checked.
    """
    if "-" in images and len(images) > 1:
        raise InputError("give images, or - for standard input, not both")
    given = input_lines() if images == ("-",) else iter(images)
    status = 0
    with connect(database, out, computes=True) as db:
        blocklist = db.collection(against)
        for answer in blocklist.screen(
            given, min_similarity=min_similarity, k=k, allow_private_urls=allow_private_urls
        ):
            click.echo(_document(answer) if out.as_json else _sentence(answer))
            sys.stdout.flush()
            status = max(status, NOT_JUDGED if answer.error else MATCH if answer.matches else 0)
    if status:
        raise click.exceptions.Exit(status)


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
