"""Add the images of a folder in a job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike import AddReport, Collection
from lookalike.web.jobs import Job

if TYPE_CHECKING:
    from lookalike.web.state import AppState


def start_add(state: AppState, name: str | None, folder: Path) -> Job:
    """Begin to add the images of a folder, with their facts; a new collection is created.

    The job's result is the AddReport.

    Raises:
        InputError: The collection cannot have this name.
        Problem: 409: another job of the collection is running.
    """
    collection = state.collections.open(name)

    def work(job: Job) -> AddReport:
        return _add(state, collection, folder, job)

    return state.jobs.start("add", collection.name, work, what=str(folder))


def _add(state: AppState, collection: Collection, folder: Path, job: Job) -> AddReport:
    job.report("looking for images", 0, None)
    is_new = not collection.exists
    try:
        return collection.add(
            folder,
            facts=True,
            progress=lambda done, total: job.report("adding images", done, total),
        )
    finally:
        if is_new:
            state.collections.forget(collection.name)
