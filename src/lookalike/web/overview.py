"""What there is to know of the served collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from lookalike import InputError, Status, StoredFailure
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.state import AppState

MOST_FAILURES = 200
_COVERS = 8
_FORGOTTEN = timedelta(hours=12)


@dataclass(frozen=True)
class Overview:
    """A collection.

    Attributes:
        status: Its status, with the index in this server's memory.
        is_default: Whether requests that name no collection get it.
        covers: Ids of its latest images that have files.
        failures: The first of its failures.
        job: Its last `add` by this server, running or not.
        is_added_elsewhere: Whether another program seems to be adding images.
    """

    status: Status
    is_default: bool
    covers: list[int]
    failures: list[StoredFailure]
    job: Job | None
    is_added_elsewhere: bool


def overviews(state: AppState) -> list[Overview]:
    """Return all collections, the default one first."""
    found = [_overview(state, status) for status in state.db.status()]
    return sorted(found, key=lambda each: (not each.is_default, each.status.name))


def begun_jobs(state: AppState, known: Sequence[Overview]) -> list[Job]:
    """Return the jobs that add images to collections that do not exist yet."""
    names = {each.status.name for each in known}
    return [job for job in state.jobs.all("add") if job.collection not in names]


def overview(state: AppState, name: str) -> Overview:
    """Return one collection. Raises Problem 404 if there is none."""
    try:
        return _overview(state, state.collections.peek(name).status())
    except InputError as error:
        raise Problem(404, str(error)) from error


def _overview(state: AppState, status: Status) -> Overview:
    collection = state.collections.peek(status.name)
    job = state.jobs.latest("add", status.name)
    run = status.last_run
    is_open = run is not None and run.ended_at is None
    is_ours = job is not None and job.is_running
    is_recent = run is not None and datetime.now(UTC) - run.started_at < _FORGOTTEN
    return Overview(
        status=replace(status, held=state.collections.held().get(status.name)),
        is_default=status.name == state.collections.open().name,
        covers=[item.id for item in collection.browse(k=_COVERS) if item.path],
        failures=collection.failures()[:MOST_FAILURES] if status.failures else [],
        job=job,
        is_added_elsewhere=is_open and is_recent and not is_ours,
    )
