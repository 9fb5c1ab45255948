"""/health, /ready and /metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from lookalike import LookalikeError
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep

router = APIRouter(tags=["server"])


@router.get("/health")
async def health() -> dict[str, str]:
    """Tell that the server runs; needs no token."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(state: StateDep) -> dict[str, str]:
    """Tell whether the database answers."""
    try:
        await state.work.run(state.db.rows, "SELECT 1")
    except LookalikeError as error:
        raise Problem(503, "the database does not answer", headers={"Retry-After": "5"}) from error
    return {"status": "ready"}


@router.get("/metrics", response_class=Response)
async def metrics(state: StateDep) -> Response:
    """Return figures for Prometheus."""
    return Response(_figures(state), media_type=CONTENT_TYPE_LATEST)


def _figures(state: AppState) -> bytes:
    for name, queue in state.work.queues().items():
        state.metrics.waiting.labels(name).set(queue.size)
        state.metrics.refused.labels(name).set(queue.refused)
    for name, held in state.collections.held().items():
        state.metrics.held.labels(name).set(held.nbytes)
    return state.metrics.text()
