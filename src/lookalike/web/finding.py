"""Find the duplicates of a collection in a job; what became of each group since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from lookalike import DuplicateGroup, DuplicateImage, Failure
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem

if TYPE_CHECKING:
    from lookalike.web.state import AppState

GroupState = Literal["open", "busy", "removed", "distinct"]


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
        options: Of the search: those of `Collection.duplicates.find`.
        groups: By name, in the order of the search.
        found_at: When the search ended.
    """

    options: Mapping[str, Any]
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


def start_find(state: AppState, name: str | None, **options: Any) -> Job:
    """Begin to find duplicates; options: those of `Collection.duplicates.find`.

    The job's result is a FoundDuplicates.

    Raises:
        InputError: An option cannot be used.
        Problem: 404: there is no such collection. 409: another job of it is running.
    """
    state.collections.forget_gone()
    collection = state.collections.get(name)
    collection.duplicates.check(**options)

    def work(job: Job) -> FoundDuplicates:
        groups = collection.duplicates.find(**options, progress=job.report)
        return FoundDuplicates(options, {each.name: FoundGroup(each.name, each) for each in groups})

    older = state.jobs.latest("duplicates", collection.name)
    job = state.jobs.start("duplicates", collection.name, work)
    if older is not None:
        state.jobs.forget(older)
    return job
