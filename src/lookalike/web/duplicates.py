"""Decide on groups of duplicates: what is removed, and what is no duplicate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lookalike import Collection, DuplicateGroup, DuplicateImage, Failure, RemovalReport
from lookalike.web.finding import FoundDuplicates, FoundGroup
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.undo import Undo

if TYPE_CHECKING:
    from lookalike.web.state import AppState


def remove(
    state: AppState, collection: Collection, found: FoundDuplicates, name: str, keep: Sequence[int]
) -> FoundGroup:
    """Move the files of a group's images to the trash, but for those to keep, with their rows.

    Raises:
        Problem: 404: the group is gone. 409: somebody has decided on it. 422: nothing is kept or
            removed, or an image is not in the group.
    """
    group = found.get(name)
    before = group.group
    parts = _parts(before, frozenset(keep))
    with _claimed(found, [group]):
        report = collection.duplicates.delete(parts, tier="similar")
    gone = {each.id for each in report.removed}
    group.failed = report.failed
    if gone:
        group.state, group.told = "removed", f"{_count(len(gone))} moved to the trash"
        undo = _undo_of(collection, found, {name: before}, report, group.told)
        group.token = state.undo.keep(undo)
    return group


def remove_images(
    state: AppState, collection: Collection, found: FoundDuplicates, ids: Set[int]
) -> tuple[RemovalReport, str]:
    """Move the files of some images of open groups to the trash, with their rows.

    Returns the report, and the token of the undo; it is empty if nothing was removed.

    Raises:
        Problem: 409: somebody is deciding on a group. 422: an image is in no group, or none would
            stay of one.
    """
    groups = [each for each in found.open() if any(image.id in ids for image in each.images)]
    if unknown := ids - {image.id for group in groups for image in group.images}:
        raise Problem(422, f"{min(unknown)} is in no group of the last search")
    before = {each.name: each.group for each in groups}
    parts = []
    for group in groups:
        parts += _parts(group.group, frozenset(image.id for image in group.images) - ids)
    with _claimed(found, groups):
        report = collection.duplicates.delete(parts, tier="similar")
    gone = {each.id for each in report.removed}
    for group in groups:
        _leave(group, gone)
    if not gone:
        return report, ""
    told = f"{_count(len(gone))} moved to the trash"
    return report, state.undo.keep(_undo_of(collection, found, before, report, told))


def mark_distinct(
    state: AppState, collection: Collection, found: FoundDuplicates, name: str
) -> FoundGroup:
    """Record that the images of a group are no duplicates of one another.

    Raises:
        Problem: 404: the group is gone. 409: somebody has decided on it.
    """
    group = found.get(name)
    ids = [image.id for image in group.images]
    with _claimed(found, [group]):
        collection.duplicates.mark_distinct(*ids)
    group.state, group.told = "distinct", f"{_count(len(ids))} marked as different"

    def take_back() -> str:
        collection.duplicates.unmark_distinct(*ids)
        group.state = "open"
        return "Marked as duplicates again"

    group.token = state.undo.keep(Undo(collection.name, group.told, 0, take_back))
    return group


@dataclass(frozen=True)
class Removal:
    """The result of a job that removes copies.

    Attributes:
        images: How many files were moved to the trash.
        size: Of these files, in bytes.
        failed: Files that stayed, and why.
        token: Of the undo; empty if nothing was removed.
    """

    images: int
    size: int
    failed: tuple[Failure, ...]
    token: str


def copies(found: FoundDuplicates) -> list[DuplicateImage]:
    """Return the images of open groups that have the bytes of one that stays."""
    groups = found.open()
    return [each for group in groups for each in group.group.duplicates if _is_copy(each)]


def start_removal(state: AppState, collection: Collection, found: FoundDuplicates) -> Job:
    """Begin to move all copies of identical bytes to the trash, in the groups that are open.

    The job's result is a Removal. Raises Problem 409 if another job of the collection is running.
    """

    def work(job: Job) -> Removal:
        groups = [each for each in found.open() if any(map(_is_copy, each.group.duplicates))]
        before = {each.name: each.group for each in groups}
        with _claimed(found, groups):
            report = collection.duplicates.delete(
                list(before.values()),
                tier="identical",
                progress=lambda done, total: job.report("moving to the trash", done, total),
            )
        gone = {each.id for each in report.removed}
        for group in groups:
            _settle(group, gone)
        if not gone:
            return Removal(0, 0, report.failed, "")
        told = f"{_count(len(gone))} moved to the trash"
        token = state.undo.keep(_undo_of(collection, found, before, report, told))
        return Removal(len(gone), report.size, report.failed, token)

    return state.jobs.start("removal", collection.name, work)


@contextmanager
def _claimed(found: FoundDuplicates, groups: Sequence[FoundGroup]) -> Iterator[None]:
    """Keep others from deciding on groups meanwhile. Raises Problem 409 if somebody has."""
    with found.lock:
        if any(group.state != "open" for group in groups):
            raise Problem(409, "this group has been decided on already")
        for group in groups:
            group.state = "busy"
    try:
        yield
    finally:
        for group in groups:
            group.state = "open"


def _undo_of(
    collection: Collection,
    found: FoundDuplicates,
    before: Mapping[str, DuplicateGroup],
    report: RemovalReport,
    told: str,
) -> Undo:
    """before: the groups as they were, by name."""

    def take_back() -> str:
        if report.taken is None:
            return "Nothing was removed"
        restored = collection.put_back(report.taken)
        for name, group in before.items():
            known = found.groups[name]
            known.group, known.state, known.failed = group, "open", ()
        told = f"{_count(len(restored.restored))} put back"
        reason = next(iter(restored.failed.values()), "")
        return f"{told}; {_count(len(restored.failed))} not: {reason}" if reason else told

    return Undo(collection.name, told, len(report.removed), take_back)


def _parts(group: DuplicateGroup, keep: Set[int]) -> list[DuplicateGroup]:
    """Return groups whose duplicates are the images to remove: each by the one that it resembles.

    Raises Problem 422 unless some images stay and some go.
    """
    images = {image.id: image for image in (group.keep, *group.duplicates)}
    if not keep or not keep <= images.keys():
        raise Problem(422, "keep at least one image of the group")
    leaving = [image for image in images.values() if image.id not in keep]
    if not leaving:
        raise Problem(422, "all images are to be kept: nothing is removed")
    main = next(row_id for row_id in images if row_id in keep)
    wanted: dict[int, set[int]] = {}
    for image in leaving:
        anchor = image.copy_of if image.copy_of in keep else main
        wanted.setdefault(anchor or main, set()).add(image.id)
    return [_part(group.keeping(anchor), ids) for anchor, ids in wanted.items()]


def _part(group: DuplicateGroup, ids: Set[int]) -> DuplicateGroup:
    return replace(group, duplicates=tuple(each for each in group.duplicates if each.id in ids))


def _leave(group: FoundGroup, gone: Set[int]) -> None:
    """Take what is gone out of a group, which may be the image to keep."""
    rest = [image.id for image in group.images if image.id not in gone]
    if len(rest) < 2:
        group.state, group.told = "removed", "Its other images were moved to the trash"
    else:
        group.group = _part(group.group.keeping(rest[0]), frozenset(rest))


def _settle(group: FoundGroup, gone: Set[int]) -> None:
    """Take what is gone out of a group."""
    rest = tuple(each for each in group.group.duplicates if each.id not in gone)
    if rest:
        group.group = replace(group.group, duplicates=rest)
    else:
        group.state, group.told = "removed", "Its copies were moved to the trash"


def _is_copy(image: DuplicateImage) -> bool:
    return image.tier == "identical" and image.path is not None


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"
