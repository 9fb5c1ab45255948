"""Live progress of a job, as server-sent events of HTML."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response, StreamingResponse

from lookalike.web.jobs import COMMENT, EVENT_HEADERS, EVENT_TYPE, changes, event
from lookalike.web.state import StateDep, require_writer
from lookalike.web.views.rendering import rendered

router = APIRouter(include_in_schema=False)


@router.get("/parts/jobs/{job_id}/events")
async def events(request: Request, state: StateDep, job_id: str) -> Response:
    """Send how far a job is whenever that changes: events `progress`, last `end`."""
    job = state.jobs.get(job_id)

    async def stream() -> AsyncIterator[bytes]:
        async for snapshot in changes(job, state.stopping):
            if snapshot is None:
                yield COMMENT
                continue
            text = rendered(request, "shared/progress.html", job=job, now=snapshot)
            yield event("progress", text)
        if not job.is_running:
            yield event("end", job.snapshot().state)

    return StreamingResponse(stream(), headers=EVENT_HEADERS, media_type=EVENT_TYPE)


@router.post("/parts/jobs/{job_id}/stop", dependencies=[Depends(require_writer)])
async def stop(state: StateDep, job_id: str) -> Response:
    """Tell a job to stop; what it has done so far stays."""
    state.jobs.get(job_id).stop()
    return Response(status_code=204)
