"""`lookalike duplicates`: find, report, delete and move duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from lookalike import InputError, KeepRule, Orientations, Tier
from lookalike.cli.groups import (
    Verb,
    count_files,
    fates_of,
    list_groups,
    plural,
    tell,
    with_tiers,
)
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    force_option,
    index_memory_option,
    output_options,
    yes_option,
)
from lookalike.cli.output import Output
from lookalike.core.output_files import DUPLICATES_REPORT, check_target

if TYPE_CHECKING:
    from lookalike import Collection, DuplicateGroup, RemovalReport

NOT_ALL_REMOVED = 1


@click.command()
@click.option(
    "--min-similarity",
    type=float,
    metavar="S",
    help="From where on images are similar: 0.95 for the embedded model, none for others.",
)
@click.option(
    "--tier",
    type=click.Choice(get_args(Tier)),
    help="The loosest tier that counts; by default similar, and identical for --delete and "
    "--move-to.",
)
@click.option(
    "--keep",
    type=click.Choice(get_args(KeepRule)),
    default="best",
    show_default=True,
    help="Which image of a group to keep: the one with the most pixels (then bytes, then the "
    "oldest), the oldest file, or the largest file.",
)
@click.option(
    "--prefer",
    multiple=True,
    type=click.Path(),
    metavar="FOLDER",
    help="Keep the image in this folder, whatever --keep says. Can be repeated, the most preferred "
    "folder first.",
)
@click.option(
    "--orientations",
    type=click.Choice(get_args(Orientations)),
    default="auto",
    show_default=True,
    help="Which near-duplicates may be rotated or mirrored: photographs but not drawings (auto), "
    "none (upright), or all.",
)
@click.option(
    "--group",
    "names",
    multiple=True,
    metavar="GROUP",
    help="Only this group, by its number or its whole name, as 17-k7xq. Can be repeated.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write the groups as a page of pictures.",
)
@force_option
@click.option("--delete", is_flag=True, help="Move the duplicates' files to the system's trash.")
@click.option("--permanently", is_flag=True, help="With --delete: without the trash.")
@click.option(
    "--move-to",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Move the duplicates' files to a folder; nothing there is replaced.",
)
@click.option("--dry-run", is_flag=True, help="Show what --delete or --move-to would do.")
@yes_option
@click.option(
    "--not",
    "distinct",
    type=(str, str),
    multiple=True,
    metavar="IMAGE IMAGE",
    help="Remember that these two, each a file or an id, are not duplicates; do nothing else.",
)
@click.option(
    "--forget-not",
    "forgotten",
    type=(str, str),
    multiple=True,
    metavar="IMAGE IMAGE",
    help="Undo --not.",
)
@index_memory_option
@database_option
@collection_option
@output_options
def duplicates(
    min_similarity: float | None,
    tier: Tier | None,
    keep: KeepRule,
    prefer: tuple[str, ...],
    orientations: Orientations,
    names: tuple[str, ...],
    html: Path | None,
    force: bool,
    delete: bool,
    permanently: bool,
    move_to: Path | None,
    dry_run: bool,
    yes: bool,
    distinct: Sequence[tuple[str, str]],
    forgotten: Sequence[tuple[str, str]],
    index_memory: int | None,
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Find images that resemble one another; delete or move them on request.

    \b
    identical        the same bytes
    near-duplicate   the same picture: resized, recompressed, cropped a little; photographs also
                     turned or mirrored
    similar          their embeddings are at least as similar as --min-similarity

    Every image of a group resembles the one to keep; that one's id is the group's number. Only
    --delete and --move-to change anything: they remove files and their rows, and unless --tier
    says more, only identical files. They list what will be removed and ask. Scripts give --yes;
    with --group they also give the group's whole name, so that a group that has changed since is
    refused. If a file to keep is missing, changed or unreadable, its duplicates stay.

    Exit status: 0 done, 1 some files could not be removed, 2 not done.
    """
    _check(delete, permanently, move_to, dry_run, yes)
    _check_alone()
    removes, verb = delete or move_to is not None, _verb(delete, permanently)
    asks = removes and not (dry_run or yes)
    if asks:
        out.require_terminal(_undone(verb))
    _check_page(html, force)
    loosest = tier or ("identical" if removes else "similar")
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        if distinct or forgotten:
            _decide(out, images, distinct, forgotten)
            return
        # What goes is told by the tier, and groups are those that were shown without it.
        searched = "near-duplicate" if removes and tier is None else loosest
        with _bar(out) as progress:
            groups = images.duplicates.find(
                min_similarity=min_similarity,
                tier=searched,
                keep=keep,
                orientations=orientations,
                prefer=prefer,
                index_memory=index_memory,
                progress=progress,
            )
        groups = _chosen(images, groups, names, loosest)
        page = images.duplicates.report(html, groups, force=force) if html else None
        removal = partial(images.duplicates.delete, groups, undo=False)
        remove = partial(removal, tier=loosest, move_to=move_to, permanently=permanently)
        report = remove(dry_run=dry_run or asks) if removes else None
        if report and asks and _agrees(out, groups, report, verb):
            report = remove()
    tell(out, collection, groups, report, page, verb, is_listed=asks)
    if report and report.failed:
        raise click.exceptions.Exit(NOT_ALL_REMOVED)


def _check(delete: bool, permanently: bool, move_to: Path | None, dry_run: bool, yes: bool) -> None:
    if delete and move_to is not None:
        raise click.UsageError("give --delete or --move-to, not both")
    if permanently and not delete:
        raise click.UsageError("--permanently goes with --delete")
    if dry_run and not delete and move_to is None:
        raise click.UsageError("--dry-run goes with --delete or --move-to")
    if yes and not delete and move_to is None:
        raise click.UsageError("--yes goes with --delete or --move-to")
    if yes and not dry_run:
        _check_names(click.get_current_context().params["names"])


def _check_names(names: Sequence[str]) -> None:
    """Raise UsageError for a group by its number, which nobody is asked about before it goes."""
    for name in names:
        if "-" not in name:
            raise click.UsageError(
                f"with --yes give the whole name of group {name}, as --html and --json show it: "
                "it may have changed since"
            )


def _chosen(
    images: Collection, groups: Sequence[DuplicateGroup], names: Sequence[str], loosest: Tier
) -> list[DuplicateGroup]:
    """Return the groups that are named, or all, with a duplicate of the tier or a stricter one."""
    if not names:
        return with_tiers(groups, loosest)
    chosen = images.duplicates.choose(groups, *names)
    for group in chosen:
        if not with_tiers([group], loosest):
            raise InputError(
                f"no duplicate in group {group.name} is {loosest}: choose --tier {group.tier} to "
                "include it"
            )
    return chosen


def _check_page(html: Path | None, force: bool) -> None:
    if html:
        check_target(html, DUPLICATES_REPORT, force=force)
    elif force:
        raise click.UsageError("--force goes with --html")


def _check_alone() -> None:
    """Raise UsageError for search options given with --not or --forget-not, which do not search."""
    context = click.get_current_context()
    if not (context.params["distinct"] or context.params["forgotten"]):
        return
    search = ("tier", "min_similarity", "keep", "prefer", "orientations", "names", "index_memory")
    for name in ("delete", "move_to", "html", *search):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = "--group" if name == "names" else f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--not and --forget-not go without {option}")


@contextmanager
def _bar(out: Output) -> Iterator[Callable[[str, int, int | None], None]]:
    with out.progress("") as bar:
        task = bar.add_task("Finding duplicates", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


def _decide(
    out: Output,
    images: Collection,
    distinct: Sequence[tuple[str, str]],
    forgotten: Sequence[tuple[str, str]],
) -> None:
    ids = [images.duplicates.mark_distinct(*pair) for pair in distinct]
    n_forgotten = sum(images.duplicates.unmark_distinct(*pair) for pair in forgotten)
    if out.as_json:
        out.json({"distinct": ids, "forgotten": n_forgotten})
        return
    for one, other in distinct:
        out.say(f"{one} and {other} are not duplicates from now on.")
    if forgotten:
        out.say(f"Forgot {n_forgotten:,} {plural('decision', n_forgotten)}.")


def _verb(delete: bool, permanently: bool) -> Verb:
    """Return the verb for removed files: done, and to be done."""
    if not delete:
        return "moved", "move"
    return ("deleted", "delete") if permanently else ("trashed", "trash")


def _undone(verb: Verb) -> str:
    return f"{verb[0]} no file"


def _agrees(
    out: Output, groups: Sequence[DuplicateGroup], would: RemovalReport, verb: Verb
) -> bool:
    """Show what would be removed, if anything; end the command unless the answer is yes."""
    if not out.as_json:
        list_groups(out, groups, fates_of(would, verb))
    if would.removed:
        out.confirm(f"{verb[1].capitalize()} {count_files(would, groups)}?", _undone(verb))
    return bool(would.removed)
