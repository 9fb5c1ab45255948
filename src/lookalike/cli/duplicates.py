"""`lookalike duplicates`: find, report, delete and move duplicates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from rich.filesize import decimal

from lookalike import KeepRule, Orientations, Tier
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    force_option,
    output_options,
    yes_option,
)
from lookalike.cli.output import Output
from lookalike.core.output_files import DUPLICATES_REPORT, check_target

if TYPE_CHECKING:
    from lookalike import (
        Collection,
        DuplicateGroup,
        DuplicateImage,
        KeepRule,
        Orientations,
        RemovalReport,
        Tier,
    )

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
    help="Which image of a group stays: the one of most pixels (then bytes, then age), the oldest "
    "file, or the one of most bytes.",
)
@click.option(
    "--orientations",
    type=click.Choice(get_args(Orientations)),
    default="auto",
    show_default=True,
    help="Which near-duplicates may be turned or mirrored: photographs but no drawings (auto), "
    "none (upright), or all.",
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
@click.option("--dry-run", is_flag=True, help="Tell what --delete or --move-to would do.")
@yes_option
@click.option(
    "--not",
    "distinct",
    type=(int, int),
    multiple=True,
    metavar="ID ID",
    help="Remember that these two are not duplicates; do nothing else.",
)
@click.option(
    "--forget-not",
    "forgotten",
    type=(int, int),
    multiple=True,
    metavar="ID ID",
    help="Forget that again.",
)
@database_option
@collection_option
@output_options
def duplicates(
    min_similarity: float | None,
    tier: Tier | None,
    keep: KeepRule,
    orientations: Orientations,
    html: Path | None,
    force: bool,
    delete: bool,
    permanently: bool,
    move_to: Path | None,
    dry_run: bool,
    yes: bool,
    distinct: Sequence[tuple[int, int]],
    forgotten: Sequence[tuple[int, int]],
    database: str | None,
    collection: str,
    out: Output,
) -> None:
    """Find images that resemble one another, and delete or move them if you say so.

    \b
    identical        the same bytes
    near-duplicate   the same picture: resized, recompressed, cropped a little; photographs also
                     turned or mirrored
    similar          their embeddings are as near as --min-similarity

    Every image of a group resembles the one to keep. Files are deleted or moved with --delete or
    --move-to only, their rows too, and no others than identical ones unless --tier says so. It
    shows what would go and asks; scripts give --yes. Where the file to keep is gone, changed or
    unreadable, its group stays, and the exit status is 1.
    """
    _check(delete, permanently, move_to, dry_run, yes)
    _check_alone()
    removes = delete or move_to is not None
    asks = removes and not (dry_run or yes)
    verb = _verb(delete, permanently)
    if asks:
        out.require_terminal(_undone(verb))
    _check_page(html, force)
    loosest = tier or ("identical" if removes else "similar")
    with connect(database, out, computes=True) as db:
        images = db.collection(collection)
        if distinct or forgotten:
            _decide(out, images, distinct, forgotten)
            return
        groups = _find(out, images, min_similarity, loosest, keep, orientations)
        page = images.duplicates.report(html, groups, force=force) if html else None
        remove = partial(
            images.duplicates.delete, groups, tier=loosest, move_to=move_to, permanently=permanently
        )
        report = remove(dry_run=dry_run or asks) if removes else None
        if report and asks and _agrees(out, groups, report, verb):
            report = remove()
    _tell(out, collection, groups, report, page, verb, is_listed=asks)
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
    for name in ("delete", "move_to", "html", "tier", "min_similarity", "keep", "orientations"):
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            option = f"--{name.replace('_', '-')}"
            raise click.UsageError(f"--not and --forget-not go without {option}")


def _find(
    out: Output,
    images: Collection,
    min_similarity: float | None,
    tier: Tier,
    keep: KeepRule,
    orientations: Orientations,
) -> list[DuplicateGroup]:
    with _bar(out) as progress:
        return images.duplicates.find(
            min_similarity=min_similarity,
            tier=tier,
            keep=keep,
            orientations=orientations,
            progress=progress,
        )


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
    distinct: Sequence[tuple[int, int]],
    forgotten: Sequence[tuple[int, int]],
) -> None:
    for pair in distinct:
        images.duplicates.mark_distinct(*pair)
    n_forgotten = sum(images.duplicates.unmark_distinct(*pair) for pair in forgotten)
    if out.as_json:
        out.json({"distinct": distinct, "forgotten": n_forgotten})
        return
    for one, other in distinct:
        out.say(f"{one} and {other} are not duplicates from now on.")
    if forgotten:
        out.say(f"Forgot {n_forgotten:,} {_plural('decision', n_forgotten)}.")


def _verb(delete: bool, permanently: bool) -> tuple[str, str]:
    """Return the verb for removed files: done, and to be done."""
    if not delete:
        return "moved", "move"
    return ("deleted", "delete") if permanently else ("trashed", "trash")


def _undone(verb: tuple[str, str]) -> str:
    return f"{verb[0]} no file"


def _agrees(
    out: Output, groups: Sequence[DuplicateGroup], would: RemovalReport, verb: tuple[str, str]
) -> bool:
    """Show what would be removed, if anything; end the command unless the answer is yes."""
    if not out.as_json:
        _list(out, groups, _fates(would, verb))
    if would.removed:
        out.confirm(f"{verb[1].capitalize()} {_files(would, groups)}?", _undone(verb))
    return bool(would.removed)


def _list(out: Output, groups: Sequence[DuplicateGroup], fates: dict[int, str]) -> None:
    rows = [
        _row(number, group, image, fates)
        for number, group in enumerate(groups, start=1)
        for image in (group.keep, *group.duplicates)
    ]
    if rows:
        out.table(
            ["group", "", "id", "tier", "similarity", "pixels", "size", "file"], rows, paths="file"
        )


def _tell(
    out: Output,
    collection: str,
    groups: Sequence[DuplicateGroup],
    report: RemovalReport | None,
    page: Path | None,
    verb: tuple[str, str],
    *,
    is_listed: bool,
) -> None:
    fates = _fates(report, verb) if report else {}
    if out.as_json:
        out.json(_document(collection, groups, report, fates, page))
        return
    if not is_listed:
        _list(out, groups, fates)
    if report:
        for failure in report.failed:
            out.warn(f"not {verb[0]}: {failure}")
    out.say(_summary(groups) if report is None else _done(report, groups, verb))
    if page:
        out.say(f"Report: {page}")


def _fates(report: RemovalReport, verb: tuple[str, str]) -> dict[int, str]:
    done, to_do = verb
    return {file.id: to_do if report.is_dry_run else done for file in report.removed}


def _row(
    number: int, group: DuplicateGroup, image: DuplicateImage, fates: dict[int, str]
) -> list[object]:
    is_kept = image is group.keep
    return [
        number,
        "keep" if is_kept else fates.get(image.id, ""),
        image.id,
        image.tier or "",
        "" if is_kept else f"{image.similarity:.4f}",
        f"{image.width} x {image.height}" if image.width else "",
        "" if image.size is None else decimal(image.size),
        image.path or image.image_name,
    ]


def _summary(groups: Sequence[DuplicateGroup]) -> str:
    if not groups:
        return "No duplicates."
    tiers = _counted(image.tier for group in groups for image in group.duplicates)
    n = len(groups)
    return f"{n:,} {_plural('group', n)}; besides the images to keep: {tiers}."


def _counted(tiers: Iterable[Tier | None]) -> str:
    counts = Counter(tiers)
    return ", ".join(f"{counts[tier]:,} {tier}" for tier in get_args(Tier) if counts[tier])


def _files(report: RemovalReport, groups: Sequence[DuplicateGroup]) -> str:
    """Return the number, size and tiers of files."""
    n = len(report.removed)
    tiers = {image.id: image.tier for group in groups for image in group.duplicates}
    counted = _counted(tiers[file.id] for file in report.removed)
    return f"{n:,} {_plural('file', n)}, {decimal(report.size)}" + (f" ({counted})" if n else "")


def _done(report: RemovalReport, groups: Sequence[DuplicateGroup], verb: tuple[str, str]) -> str:
    done, to_do = verb
    n = len(report.removed)
    files = _files(report, groups)
    if report.is_dry_run:
        text = f"Would {to_do} {files}; nothing was done"
    else:
        text = f"{done.capitalize()} {files}, and removed {'its row' if n == 1 else 'their rows'}"
    if report.failed:
        text += f"; {len(report.failed):,} could not be {done}"
    if report.without_file:
        text += f"; {len(report.without_file):,} without a file stay"
    return text + "."


def _document(
    collection: str,
    groups: Sequence[DuplicateGroup],
    report: RemovalReport | None,
    fates: dict[int, str],
    page: Path | None,
) -> dict[str, object]:
    removal = None
    if report:
        removal = {
            "removed": [{**asdict(file), "action": fates[file.id]} for file in report.removed],
            "failed": [{"path": each.path, "reason": each.reason} for each in report.failed],
            "without_file": report.without_file,
            "size": report.size,
            "is_dry_run": report.is_dry_run,
        }
    return {
        "collection": collection,
        "groups": [{"tier": group.tier, **asdict(group)} for group in groups],
        "removal": removal,
        "report": page,
    }


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else noun + "s"
