"""Jobs: work that takes longer than a request, and live progress."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from lookalike.web.api.documents import PREFIX, json_response, plain, text_of
from lookalike.web.api.report_schemas import JobDocument, JobList
from lookalike.web.jobs import COMMENT, EVENT_HEADERS, EVENT_TYPE, Job, Snapshot, changes, event
from lookalike.web.state import StateDep

router = APIRouter(tags=["jobs"])

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `progress`, the last of them `end`; the data is the job.",
        "content": {EVENT_TYPE: {}},
    }
}


@router.get("/jobs", response_model=JobList)
async def read_jobs(state: StateDep) -> Response:
    """Return the jobs that run, and the last that ended; the last first."""
    return json_response({"jobs": [job_document(job) for job in state.jobs.recent()]})


@router.get("/jobs/{job_id}", response_model=JobDocument)
async def read_job(state: StateDep, job_id: str) -> Response:
    """Return how far a job is, and what it brought."""
    return job_response(state.jobs.get(job_id))


@router.delete("/jobs/{job_id}", response_model=JobDocument)
async def stop_job(state: StateDep, job_id: str) -> Response:
    """Tell a job to stop; what it has done so far stays."""
    job = state.jobs.get(job_id)
    job.stop()
    return job_response(job)


@router.get("/jobs/{job_id}/events", response_class=Response, responses=_EVENTS)
async def read_events(state: StateDep, job_id: str) -> Response:
    """Send how far a job is whenever that changes, as server-sent events."""
    job = state.jobs.get(job_id)

    async def stream() -> AsyncIterator[bytes]:
        async for snapshot in changes(job, state.stopping):
            if snapshot is None:
                yield COMMENT
                continue
            name = "progress" if snapshot.state == "running" else "end"
            yield event(name, text_of(job_document(job, snapshot)))

    return StreamingResponse(stream(), headers=EVENT_HEADERS, media_type=EVENT_TYPE)


def job_response(job: Job, status: int = 200) -> Response:
    """Return a job; with 202, Location says where to ask for it again."""
    response = json_response(job_document(job), status)
    if status == 202:
        response.headers["Location"] = f"{PREFIX}/jobs/{job.id}"
    return response


def job_document(job: Job, snapshot: Snapshot | None = None) -> dict[str, Any]:
    """Return a job as a document."""
    now = snapshot or job.snapshot()
    has_report = now.state == "done" and job.kind == "add"
    return {
        "id": job.id,
        "kind": job.kind,
        "collection": job.collection,
        "what": job.what,
        **plain(now),
        "started_at": job.started_at.isoformat(),
        "result": plain(job.result) if has_report else None,
        "links": {
            "self": f"{PREFIX}/jobs/{job.id}",
            "events": f"{PREFIX}/jobs/{job.id}/events",
        },
    }
