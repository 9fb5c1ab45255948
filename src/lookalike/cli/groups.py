"""Groups of duplicates, and what became of them, in tables, sentences and JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from rich.filesize import decimal

from lookalike import Tier
from lookalike.cli.output import Output

if TYPE_CHECKING:
    from lookalike import DuplicateGroup, DuplicateImage, RemovalReport

Verb = tuple[str, str]
"""A verb for removed files: done, and to be done."""


def with_tiers(groups: Sequence[DuplicateGroup], loosest: Tier) -> list[DuplicateGroup]:
    """Return the groups with a duplicate of this tier or a stricter one."""
    tiers = get_args(Tier)[: get_args(Tier).index(loosest) + 1]
    return [group for group in groups if any(image.tier in tiers for image in group.duplicates)]


def list_groups(out: Output, groups: Sequence[DuplicateGroup], fates: dict[int, str]) -> None:
    """Print a table of groups; fates: what becomes of images, by id."""
    rows = [
        _row(group, image, fates) for group in groups for image in (group.keep, *group.duplicates)
    ]
    if rows:
        out.table(
            ["group", "", "id", "tier", "similarity", "pixels", "size", "file"], rows, paths="file"
        )


def tell(
    out: Output,
    collection: str,
    groups: Sequence[DuplicateGroup],
    report: RemovalReport | None,
    page: Path | None,
    verb: Verb,
    *,
    is_listed: bool,
) -> None:
    """Print groups, unless they were listed before, and what was done."""
    fates = fates_of(report, verb) if report else {}
    if out.as_json:
        out.json(_document(collection, groups, report, fates, page))
        return
    if not is_listed:
        list_groups(out, groups, fates)
    if report:
        for failure in report.failed:
            out.warn(f"not {verb[0]}: {failure}")
    out.say(_summary(groups) if report is None else _done(report, groups, verb))
    if page:
        out.say(f"Report: {page}")


def fates_of(report: RemovalReport, verb: Verb) -> dict[int, str]:
    """Return what is or was done, by the id of the image."""
    done, to_do = verb
    return {file.id: to_do if report.is_dry_run else done for file in report.removed}


def _row(group: DuplicateGroup, image: DuplicateImage, fates: dict[int, str]) -> list[object]:
    is_kept = image is group.keep
    return [
        group.number,
        "keep" if is_kept else fates.get(image.id, ""),
        image.id,
        f"{image.tier} to {image.copy_of}" if image.copy_of else image.tier or "",
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
    return f"{n:,} {plural('group', n)}; besides the images to keep: {tiers}."


def _counted(tiers: Iterable[Tier | None]) -> str:
    counts = Counter(tiers)
    return ", ".join(f"{counts[tier]:,} {tier}" for tier in get_args(Tier) if counts[tier])


def count_files(report: RemovalReport, groups: Sequence[DuplicateGroup]) -> str:
    """Return the number, size and tiers of files."""
    n = len(report.removed)
    tiers = {image.id: image.tier for group in groups for image in group.duplicates}
    counted = _counted(tiers[file.id] for file in report.removed)
    return f"{n:,} {plural('file', n)}, {decimal(report.size)}" + (f" ({counted})" if n else "")


def _done(report: RemovalReport, groups: Sequence[DuplicateGroup], verb: Verb) -> str:
    done, to_do = verb
    n = len(report.removed)
    files = count_files(report, groups)
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
        "groups": [
            {"number": group.number, "name": group.name, "tier": group.tier, **asdict(group)}
            for group in groups
        ],
        "removal": removal,
        "report": page,
    }


def plural(noun: str, count: int) -> str:
    """Return the noun with an s unless there is one."""
    return noun if count == 1 else noun + "s"
