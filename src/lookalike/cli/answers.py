"""`lookalike search -`: a line of results for each line of standard input."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

import lookalike
from lookalike import ConnectionFailed, DatabaseError, InputError, LookalikeError
from lookalike.cli.lines import input_lines
from lookalike.cli.matches import Columns, document_of, is_chance
from lookalike.cli.output import Output, json_of, printable
from lookalike.cli.statuses import DONE_WITH_FAILURES

if TYPE_CHECKING:
    from lookalike import Collection, Match, Query, Text

_RETRY_SECONDS = 60.0
_PAUSE_SECONDS = 0.5


def check_lines(queries: Sequence[str], out: Output, **others: object) -> None:
    """Raise InputError for options that cannot be combined with queries from standard input."""
    in_json = ("ids", "show")
    if len(queries) > 1:
        raise InputError("give queries, or - for standard input, not both")
    for name, is_given in others.items():
        if is_given and not (out.as_json and name in in_json):
            option = "--" + name.replace("_", "-")
            remedy = "; --json has them" if name in in_json else ""
            raise InputError(f"search - answers each query by a line: leave out {option}{remedy}")


def answer_lines(
    out: Output,
    images: Collection,
    others: Sequence[tuple[float, Query | Text]],
    options: Mapping[str, Any],
    columns: Columns,
) -> None:
    """Search for each line of standard input, and print its results as soon as they are known.

    others: terms that are mixed with each query. Exits with status 1 if a query could not be
    answered.
    """
    include = {"include": ["attributes"]} if out.as_json else {}
    _check_options(images, options)
    status = 0
    for line in input_lines():
        asked = lookalike.Mix.of([(1, lookalike.Query(line)), *others])
        matches: list[Match] = []
        problem = None
        try:
            matches = _search(images, asked, {**options, **include})
        except DatabaseError:  # no other query could be answered either
            raise
        except LookalikeError as error:
            problem, status = str(error), DONE_WITH_FAILURES
        answer = _document if out.as_json else _sentence
        click.echo(answer(line, matches, problem, columns))
        sys.stdout.flush()
    if status:
        raise click.exceptions.Exit(status)


def _check_options(images: Collection, options: Mapping[str, Any]) -> None:
    """Raise InputError for options that no query could be answered with."""
    import numpy as np

    order_by = options["order_by"]
    if order_by is not None:
        images.attributes.find(order_by.removeprefix("-"))
    images.search_sql(np.ones(images.dim or 1, np.float32), **{**options, "order_by": None})


def _search(images: Collection, asked: lookalike.Mix, options: Mapping[str, Any]) -> list[Match]:
    """Search; an open stream can outlast a connection or the server, so try again for a minute."""
    deadline = time.monotonic() + _RETRY_SECONDS
    while True:
        try:
            return images.search(asked, **options)
        except ConnectionFailed:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_PAUSE_SECONDS)


def _document(line: str, matches: Sequence[Match], problem: str | None, columns: Columns) -> str:
    return json_of(
        {
            "query": line,
            "matches": [document_of(match, columns) for match in matches],
            "is_chance": is_chance(matches),
            "error": problem,
        }
    )


def _sentence(line: str, matches: Sequence[Match], problem: str | None, columns: Columns) -> str:
    if problem is not None:
        return printable(f"{line}: error: {problem}")
    found = ", ".join(
        f"{match.path or match.image_name} ({match.similarity:.4f}"
        + (f", {match.level})" if match.level else ")")
        for match in matches
    )
    return printable(f"{line}: {found or 'nothing found'}")
