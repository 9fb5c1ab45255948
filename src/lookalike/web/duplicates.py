"""Duplicates of a collection: searched in a job, then looked through group by group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Literal

from lookalike import (
    Collection,
    DuplicateGroup,
    DuplicateImage,
    Failure,
    KeepRule,
    RemovalReport,
    Tier,
)
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.undo import Undo

if TYPE_CHECKING:
    from lookalike.web.state import AppState

GroupState = Literal["open", "busy", "removed", "distinct"]


@dataclass(frozen=True)
class Wanted:
    """What to search for; see `Collection.duplicates.find`."""

    tier: Tier = "near-duplicate"
    keep: KeepRule = "best"
    min_similarity: float | None = None


@dataclass
class FoundGroup:
    """A group, and what has become of it.

    Attributes:
        name: By which URLs name it: that of the group as it was found.
        group: The images that are left.
        state: "open"; "busy": images are being removed; "removed": those that had to go, went;
            "distinct": they are no duplicates.
        told: What was done, as "2 images moved to the trash".
        token: Of the undo.
        failed: Files that could not be removed, and why.
    """

    name: str
    group: DuplicateGroup
    state: GroupState = "open"
    told: str = ""
    token: str = ""
    failed: tuple[Failure, ...] = ()

    @property
    def images(self) -> tuple[DuplicateImage, ...]:
        """The image to keep, then its duplicates."""
        return (self.group.keep, *self.group.duplicates)

    @property
    def spare(self) -> int:
        """Bytes of the duplicates' files."""
        return sum(image.size or 0 for image in self.group.duplicates if image.path)


@dataclass
class FoundDuplicates:
    """The result of a search; threads may share it.

    Attributes:
        wanted: What was searched for.
        groups: By name, in the order of the search.
        found_at: When the search ended.
    """

    wanted: Wanted
    groups: dict[str, FoundGroup]
    found_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    lock: Lock = field(default_factory=Lock)

    def get(self, name: str) -> FoundGroup:
        """Return a group. Raises Problem 404 if there is none of this name."""
        found = self.groups.get(name)
        if found is None:
            raise Problem(404, "this group is from an older search; search again")
        return found

    def open(self, tier: str = "", *, after: str = "") -> list[FoundGroup]:
        """Return the groups that nobody has decided on.

        Args:
            tier: Only those of this tier.
            after: Only those after the one of this name, whatever has become of that.
        """
        names = list(self.groups)
        start = names.index(after) + 1 if after in self.groups else 0
        groups = [self.groups[name] for name in names[start:]]
        return [
            each
            for each in groups
            if each.state == "open" and (not tier or each.group.tier == tier)
        ]


def start_search(state: AppState, name: str | None, wanted: Wanted) -> Job:
    """Begin to search a collection for duplicates; the job's result is a FoundDuplicates.

    Raises:
        Problem: 404: there is no such collection. 409: another job of it is running.
    """
    collection = state.collections.get(name)

    def work(job: Job) -> FoundDuplicates:
        job.report("comparing images", 0, None)
        groups = collection.duplicates.find(
            tier=wanted.tier,
            keep=wanted.keep,
            min_similarity=wanted.min_similarity,
            progress=job.report,
        )
        by_name = {group.name: FoundGroup(group.name, group) for group in groups}
        return FoundDuplicates(wanted, by_name)

    older = state.jobs.latest("duplicates", collection.name)
    job = state.jobs.start("duplicates", collection.name, work)
    if older is not None:
        state.jobs.forget(older)
    return job


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
        back = collection.put_back(report.taken) if report.taken else 0
        for name, group in before.items():
            known = found.groups[name]
            known.group, known.state, known.failed = group, "open", ()
        return f"{_count(back)} put back"

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
