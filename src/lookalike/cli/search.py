"""`lookalike search`: find the stored images most similar to a query."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import mkstemp
from typing import TYPE_CHECKING, Any

import click

import lookalike
from lookalike import InputError
from lookalike.cli.answers import answer_lines, check_lines
from lookalike.cli.matches import Columns, document_of, is_chance, print_matches, print_paths
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    force_option,
    model_option,
    output_options,
)
from lookalike.cli.output import Output, describe_plan
from lookalike.core.output_files import CONTACT_SHEET, check_target

if TYPE_CHECKING:
    from lookalike import Collection, Explanation, Match, Mix, Query, Text


@click.command()
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option(
    "--text",
    "texts",
    multiple=True,
    metavar="WORDS",
    help="Find images like these words: free text with CLIP, otherwise names of things.",
)
@click.option(
    "--not", "negative", multiple=True, metavar="QUERY", help="Find images unlike this image."
)
@click.option(
    "--not-text",
    "negative_texts",
    multiple=True,
    metavar="WORDS",
    help="Find images unlike these words.",
)
@click.option(
    "--weighted",
    multiple=True,
    type=(float, str),
    metavar="WEIGHT QUERY",
    help="An image with a weight other than 1; a negative weight means unlike it.",
)
@click.option(
    "--weighted-text", multiple=True, type=(float, str), metavar="WEIGHT WORDS", help="The same."
)
@click.option("-k", "-n", "k", type=int, default=10, show_default=True, help="How many results.")
@click.option("--offset", type=int, default=0, metavar="N", help="Skip the first N results.")
@click.option(
    "--where",
    multiple=True,
    metavar="CONDITION",
    help="Search only matching rows: brand=acme, price<50, category!=shoes, 'category in (shoes, "
    "boots)', 'category not in (hats)', tags:summer (a list that holds it), name~sandal (a text "
    "that contains it), 'price is missing', 'price<50 or (sale=true and brand=acme)'; also by "
    "image_name, path~trip and 'modified>=2024-06-01'. Several must all hold.",
)
@click.option(
    "--min-similarity",
    type=float,
    metavar="S",
    help="Leave out results that are less similar than S.",
)
@click.option(
    "--min-percentile",
    type=float,
    metavar="P",
    help="Leave out results below this percentile of random pairs of images.",
)
@click.option(
    "--exclude-self/--include-self",
    default=None,
    help="Leave out the query image itself. Default for stored images.",
)
@click.option(
    "--allow-private-urls", is_flag=True, help="Allow URLs of this machine and of private networks."
)
@click.option("--exact", is_flag=True, help="Compare every image; do not use the index.")
@click.option("--n-probes", type=int, metavar="N", help="How many cells of the index to read.")
@click.option(
    "--oversampling", type=float, metavar="X", help="Compare the k * X best estimates exactly."
)
@click.option(
    "--explain", is_flag=True, help="Show the plan, the SQL, the row counts and the times."
)
@click.option("--show-sql", is_flag=True, help="Print SQL that answers by itself in any client.")
@click.option("--ids", is_flag=True, help="Also show the ids of the images.")
@click.option(
    "--show",
    metavar="NAMES",
    help="Also show these attributes: price,brand or all. --json has all unless some are named.",
)
@click.option(
    "--order-by",
    metavar="NAME",
    help="Show the best results in the order of this attribute; -NAME for the largest first.",
)
@click.option(
    "--paths-only", is_flag=True, help="Print only the paths of the files, one per line; for pipes."
)
@click.option(
    "-0",
    "--print0",
    is_flag=True,
    help="Like --paths-only, with a NUL after each path; for xargs -0.",
)
@click.option("--open", "open_sheet", is_flag=True, help="Show the results as a page of pictures.")
@click.option(
    "--contact-sheet",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write that page to a file.",
)
@force_option
@database_option
@collection_option
@model_option
@output_options
def search(
    queries: tuple[str, ...],
    texts: tuple[str, ...],
    negative: tuple[str, ...],
    negative_texts: tuple[str, ...],
    weighted: tuple[tuple[float, str], ...],
    weighted_text: tuple[tuple[float, str], ...],
    explain: bool,
    show_sql: bool,
    ids: bool,
    show: str | None,
    paths_only: bool,
    print0: bool,
    open_sheet: bool,
    contact_sheet: Path | None,
    force: bool,
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Find the stored images most similar to QUERY.

    QUERY is an image's path or http(s) URL, or the name or id of a stored image. Several queries,
    words and weights make one mix:

    \b
    lookalike search a.jpg --text "a dog" --not b.jpg
    lookalike search a.jpg --weighted 0.5 c.jpg --weighted-text -0.3 flower

    With - as QUERY they are read from standard input, one per line, and each is answered by a line
    as soon as its results are known; with --json by a line of JSON. The exit status is then 1 if
    some could not be answered.
    """
    others = [
        *_terms(lookalike.Query, (), negative, weighted),
        *_terms(lookalike.Text, texts, negative_texts, weighted_text),
    ]
    end = b"\0" if print0 else b"\n" if paths_only else None
    given = {"explain": explain, "show_sql": show_sql, "ids": ids, "show": show}
    if "-" in queries:
        pages = {"open": open_sheet, "contact_sheet": contact_sheet, "force": force}
        check_lines(queries, out, paths_only=end, **given, **pages)
        with connect(database, out) as db:
            images = db.collection(collection, model=model)
            answer_lines(out, images, others, options, Columns(ids, _shown(images, show)))
        return
    asked = _mix(queries, others)
    _check_alone(end, json=out.as_json, **given)
    _check(explain + show_sql + bool(contact_sheet or open_sheet), contact_sheet, force)
    with connect(database, out) as db:
        images = db.collection(collection, model=model)
        if show_sql:
            statement = images.search_sql(asked, **options)
            out.json({"sql": str(statement)}) if out.as_json else click.echo(f"{statement};")
            return
        shown = _shown(images, show)
        if out.as_json or shown is not None:
            options["include"] = ["attributes"]
        if explain:
            _explain(out, images.explain(asked, **options), shown)
            return
        matches = images.search(asked, **options)
        allow, sheet = options["allow_private_urls"], None
        if contact_sheet or open_sheet:
            sheet = _write_page(images, asked, matches, contact_sheet, allow, force)
        _show(out, images, matches, sheet, options, Columns(ids, shown), end=end)
    if open_sheet:
        click.launch(str(sheet))


def _shown(images: Collection, show: str | None) -> list[str] | None:
    """Return the attributes that --show names, [] for all, None without it."""
    if show is None or show.strip() == "all":
        return None if show is None else []
    names = [name.strip() for name in show.split(",")]
    return list(images.attributes.find(*names).values())


def _mix(queries: Sequence[str], others: Sequence[tuple[float, Query | Text]]) -> Mix:
    """Return what is asked for. Raises InputError for nothing."""
    if not queries and not others:
        raise InputError("give a query: an image, the name of a stored one, or --text WORDS")
    return lookalike.Mix.of([*((1, lookalike.Query(value)) for value in queries), *others])


def _check_alone(end: bytes | None, **others: object) -> None:
    """Raise InputError for options that cannot be combined with printing only paths or SQL."""
    if others["show_sql"] and others["show"]:
        raise InputError("--show-sql shows no results: leave out --show")
    for name, is_given in others.items():
        if is_given and end is not None:
            option = "--" + name.replace("_", "-")
            raise InputError(f"--paths-only prints only paths: leave out {option}")


def _check(n_answers: int, file: Path | None, force: bool) -> None:
    """Raise InputError for options that exclude each other, and for an unwritable file."""
    if n_answers > 1:
        raise InputError("give one of --explain, --show-sql, and --open or --contact-sheet")
    if file:
        check_target(file, CONTACT_SHEET, force=force)
    elif force:
        raise InputError("--force needs --contact-sheet")


def _write_page(
    images: Collection,
    query: Mix,
    matches: Sequence[Match],
    file: Path | None,
    allow: bool,
    force: bool,
) -> Path:
    """Write the page to a file, by default to a new one."""
    if file is None:
        file, force = _new_page(), True
    return images.contact_sheet(file, query, matches, allow_private_urls=allow, force=force)


def _new_page() -> Path:
    """Create a new private file for a page to show."""
    number, path = mkstemp(prefix="lookalike-", suffix=".html")
    os.close(number)
    return Path(path)


def _terms(
    kind: type[Query] | type[Text],
    positive: Sequence[str],
    negative: Sequence[str],
    weighted: Sequence[tuple[float, str]],
) -> Iterator[tuple[float, Query | Text]]:
    for weight, value in (*((1, v) for v in positive), *((-1, v) for v in negative), *weighted):
        yield weight, kind(value)


def _show(
    out: Output,
    images: Collection,
    matches: Sequence[Match],
    sheet: Path | None,
    options: Mapping[str, Any],
    columns: Columns,
    *,
    end: bytes | None,
) -> None:
    """Print matches; end: terminator of each path if only paths are printed."""
    chance = is_chance(matches)
    if out.as_json:
        found = [document_of(match, columns) for match in matches]
        out.json({"matches": found, "is_chance": chance, "contact_sheet": sheet})
    elif matches:
        if end is None:
            print_matches(out, matches, columns)
        else:
            print_paths(out, matches, end)
        if chance:
            out.say("No match: even the best result is no more similar than chance.")
    elif not images.count():
        out.say(f"{images.name} is empty.")
    else:
        out.say(_nothing(options))
    if sheet:
        out.say(f"Contact sheet: {sheet}")


def _nothing(options: Mapping[str, Any]) -> str:
    """Return the message for no results."""
    if not options["where"]:
        return "No stored image is that similar."
    if options["min_similarity"] is None and options["min_percentile"] is None:
        return "No image matches the filter (letter case matters)."
    return "No image that matches the filter is that similar."


def _explain(out: Output, found: Explanation, shown: Sequence[str] | None) -> None:
    if out.as_json:
        out.json(asdict(found))
        return
    click.echo(f"Plan: {found.plan}")
    if found.measured:
        click.echo(f"Index: {describe_plan(found.measured)}")
    click.echo()
    rows = [
        (s.name, f"{s.milliseconds:.2f}", "" if s.rows is None else s.rows) for s in found.steps
    ]
    out.table(["step", "ms", "rows"], rows)
    for step in found.steps:
        if step.sql:
            click.echo(f"\n{step.name}:\n{_abbreviated(step.sql)}")
    click.echo(f"\n{found.analysis}")
    print_matches(out, found.matches, Columns(ids=False, names=shown))


def _abbreviated(sql: str) -> str:
    """Return the statement with one probed cell instead of all."""
    first, *others = re.split(r", (?=ROW\()", sql)
    if others:
        others[-1] = re.sub(r"^ROW\([^)]*\)", "", others[-1])
    return first + (f", ... {len(others)} more" if others else "") + (others[-1] if others else "")
