"""Find the duplicates of a collection in a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lookalike import DuplicateGroup
from lookalike.web.jobs import Job

if TYPE_CHECKING:
    from lookalike.web.state import AppState


def start_find(state: AppState, name: str | None, **options: Any) -> Job:
    """Begin to find duplicates; options: those of `Collection.duplicates.find`.

    The job's result is the list of groups.

    Raises:
        Problem: 404: there is no such collection. 409: another job of it is running.
    """
    state.collections.forget_gone()
    collection = state.collections.get(name)

    def work(job: Job) -> list[DuplicateGroup]:
        return collection.duplicates.find(**options, progress=job.report)

    return state.jobs.start("duplicates", collection.name, work)
