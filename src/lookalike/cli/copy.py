"""`lookalike copy`: collections to another database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from lookalike import InputError
from lookalike.cli.options import connect, output_options
from lookalike.cli.output import Output
from lookalike.cli.reports import plural
from lookalike.cli.statuses import DONE_WITH_FAILURES, NOT_DONE

if TYPE_CHECKING:
    from lookalike import CollectionCopy, Database


@click.command()
@click.argument("source", metavar="FROM_URL")
@click.argument("target", metavar="TO_URL")
@click.option(
    "--collection",
    "names",
    multiple=True,
    metavar="NAME",
    help="Copy this collection. Can be repeated. Default: all.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be copied, and copy nothing.")
@output_options
def copy(source: str, target: str, names: tuple[str, ...], dry_run: bool, out: Output) -> None:
    """Copy collections to another database, such as from MySQL to MariaDB.

    \b
    lookalike copy mysql://me@old/photos mariadb://me@new/photos

    Embeddings are copied byte for byte, with ids, names, files, failures, attributes, decisions and
    thresholds; then both databases are compared, and the index is built in the new one. FROM_URL is
    only read. If it was interrupted or killed, run the same command again: it goes on, and follows
    what has changed meanwhile. Until it has finished, `lookalike status` calls the copy unfinished.

    A collection of the same name in TO_URL that is no unfinished copy is never changed: if it is
    equal, it says so, else that collection is not copied. Tables of your own are not copied.

    Exit status: 0 done, 1 done but for some collections, 2 not done.
    """
    with connect(source, out, computes=True) as here, connect(target, out, computes=True) as there:
        chosen = list(dict.fromkeys(names or here.collections()))
        if not names:
            _tell_tables(here, out)
        if not chosen:
            out.say(f"No collections in {here.url}.")
        elif not dry_run:
            out.say(f"Copying {', '.join(chosen)} from {here.url} to {there.url}.")
        done, refused = _copy(here, there, chosen, out, dry_run=dry_run)
        if out.as_json:
            told = [{"name": name, "error": error} for name, error in refused.items()]
            ends = {"from": here.url, "to": there.url}
            out.json({**ends, "copied": [asdict(each) for each in done], "refused": told})
    if refused:
        raise click.exceptions.Exit(DONE_WITH_FAILURES if done else NOT_DONE)


def _tell_tables(database: Database, out: Output) -> None:
    """Say which tables of the user's own are not copied."""
    if own := [each.table for each in database.tables()]:
        out.say(
            f"Not copied, as only collections are: your own {plural('table', len(own))} "
            f"{', '.join(own)}. Copy them with your server's tools, then: lookalike index create"
        )


def _copy(
    here: Database, there: Database, names: Sequence[str], out: Output, *, dry_run: bool
) -> tuple[list[CollectionCopy], dict[str, str]]:
    """Return what was copied, and why others were not."""
    done, refused = [], {}
    for name in names:
        try:
            with _bar(out, name) as progress:
                copied = here.copy_collection(name, there, dry_run=dry_run, progress=progress)
        except InputError as error:
            refused[name] = str(error)
            out.warn(f"not copied: {error}")
            continue
        done.append(copied)
        if not out.as_json:
            _tell(out, copied)
    return done, refused


@contextmanager
def _bar(out: Output, name: str) -> Iterator[Callable[[str, int, int], None]]:
    with out.progress("") as bar:
        task = bar.add_task(name, total=None)
        yield lambda step, done, total: bar.update(
            task, description=f"{name}: {step.lower()}", completed=done, total=total
        )


def _tell(out: Output, copied: CollectionCopy) -> None:
    images = f"{copied.rows:,} {plural('image', copied.rows)}"
    if copied.state == "equal":
        out.say(f"{copied.name} of {images} is there already, and equal.")
    elif copied.is_dry_run:
        goes_on = " An unfinished copy is there: it goes on." if copied.state != "new" else ""
        out.say(f"Would copy {copied.name} of {images}.{goes_on} Nothing was changed.")
    else:
        speed = f"{copied.copied / copied.seconds:,.0f}/s" if copied.seconds else ""
        again = f", {copied.changed:,} of them again as they changed" if copied.changed else ""
        wrote = f"wrote {copied.copied:,} {plural('row', copied.copied)}{again} ({speed})"
        out.say(f"Copied {copied.name} of {images}: {wrote}; both are equal.")
    if copied.without_index:
        out.warn(
            f"The other server cannot index attributes: {', '.join(copied.without_index)} can be "
            "filtered by, but more slowly."
        )
