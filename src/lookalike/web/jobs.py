"""Work that takes longer than a request: one job at a time per collection, with live progress."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any, Literal

from lookalike.web.cores import use_all_cores
from lookalike.web.problems import Problem, problem_of

_LOG = logging.getLogger(__name__)

Kind = Literal["add", "duplicates", "removal"]
JobState = Literal["running", "done", "failed", "stopped"]

_MOST_ENDED = 50
_LOOK_SECONDS = 0.2
_ALIVE_SECONDS = 15.0


class Stopped(Exception):
    """The job was told to stop."""


@dataclass(frozen=True)
class Snapshot:
    """A job at one moment.

    Attributes:
        state: "running", "done", "failed" or "stopped".
        step: What it is doing, as "adding images"; empty at the start.
        done: How much of the step is done.
        total: How much there is to do; None if unknown.
        seconds: Since the job began, until it ended.
        error: Why it failed; empty otherwise.
    """

    state: JobState
    step: str
    done: int
    total: int | None
    seconds: float
    error: str

    @property
    def share(self) -> float | None:
        """How much of the step is done, from 0 to 1; None if unknown."""
        return min(self.done / self.total, 1.0) if self.total else None


@dataclass(eq=False)
class Job:
    """A job; the thread that runs it writes, all others read.

    Attributes:
        kind: What it does.
        collection: Name of the collection.
        what: Whatever the one who started it wants to remember, such as the folder.
        id: Its name in URLs.
        started_at: When it began.
        result: What the work returned, once the state is "done".
    """

    kind: Kind
    collection: str
    what: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    result: Any = None
    _state: JobState = "running"
    _step: tuple[str, int, int | None] = ("", 0, None)
    _error: str = ""
    _began: float = field(default_factory=time.monotonic)
    _ended: float | None = None
    _is_told_to_stop: Event = field(default_factory=Event)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._state == "running"

    def snapshot(self) -> Snapshot:
        """Return what it does now."""
        ended = time.monotonic() if self._ended is None else self._ended
        return Snapshot(self._state, *self._step, ended - self._began, self._error)

    def report(self, step: str, done: int, total: int | None) -> None:
        """Note how far it is; called by the work. Raises Stopped if it was told to stop."""
        self._step = (step, done, total)
        if self._is_told_to_stop.is_set():
            raise Stopped("stopped")

    def stop(self) -> None:
        """Tell it to stop at its next step."""
        self._is_told_to_stop.set()

    def run(self, work: Callable[[Job], Any]) -> None:
        """Do the work in this thread, and note how it ends."""
        use_all_cores()
        state: JobState = "done"
        try:
            self.result = work(self)
        except Stopped:
            state = "stopped"
        # Whatever it is, the page tells it; the thread has no other caller.
        except Exception as error:  # noqa: BLE001
            problem = problem_of(error)
            if problem.status >= 500:
                _LOG.exception("the job %s of %s failed", self.kind, self.collection)
            state, self._error = "failed", problem.detail
        self._ended = time.monotonic()
        self._state = state


class Jobs:
    """The jobs of a server: those that run, and the results of the last ones."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._threads: dict[str, Thread] = {}
        self._lock = Lock()
        self._is_closed = False

    def start(
        self, kind: Kind, collection: str, work: Callable[[Job], Any], *, what: str = ""
    ) -> Job:
        """Begin a job in a thread of its own.

        Args:
            kind: What it does.
            collection: Name of the collection.
            work: Called with the job; it calls `Job.report` often, and returns the result.
            what: See Job.

        Raises:
            Problem: 409: another job of the collection is running. 503: the server stops.
        """
        job = Job(kind, collection, what)
        with self._lock:
            if self._is_closed:
                raise Problem(503, "the server is stopping; try again when it runs again")
            if (running := self._running(collection)) is not None:
                raise Problem(409, f"{_RUNNING[running.kind]}: wait for its end, or stop it")
            thread = Thread(target=job.run, args=(work,), name=f"job-{kind}", daemon=True)
            self._jobs[job.id] = job
            self._threads[job.id] = thread
            self._forget_old()
            thread.start()
        return job

    def get(self, job_id: str) -> Job:
        """Return a job. Raises Problem 404 if it is too old, or there was none."""
        with self._lock:
            job = self._jobs.get(job_id)
        if job is None:
            raise Problem(404, "there is no such job any more")
        return job

    def recent(self) -> list[Job]:
        """Return the jobs that run, and the last that ended; the last first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def latest(self, kind: Kind, collection: str) -> Job | None:
        """Return the last job of a kind, running or not; None if there was none."""
        with self._lock:
            jobs = list(self._jobs.values())
        found = (job for job in reversed(jobs) if (job.kind, job.collection) == (kind, collection))
        return next(found, None)

    def all(self, kind: Kind) -> list[Job]:
        """Return the last job of a kind of each collection, the latest first."""
        with self._lock:
            jobs = list(self._jobs.values())
        last = {job.collection: job for job in jobs if job.kind == kind}
        return sorted(last.values(), key=lambda job: job.started_at, reverse=True)

    def running(self, collection: str) -> Job | None:
        """Return the job of a collection that is running, if any."""
        with self._lock:
            return self._running(collection)

    def forget(self, job: Job) -> None:
        """Drop a job that has ended, with its result."""
        with self._lock:
            if not job.is_running:
                self._jobs.pop(job.id, None)
                self._threads.pop(job.id, None)

    def close(self, seconds: float = 30.0) -> None:
        """Tell all jobs to stop, and wait for their end."""
        with self._lock:
            self._is_closed = True
            threads = list(self._threads.values())
            for job in self._jobs.values():
                job.stop()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _running(self, collection: str) -> Job | None:
        jobs = self._jobs.values()
        found = (job for job in jobs if job.is_running and job.collection == collection)
        return next(found, None)

    def _forget_old(self) -> None:
        ended = [job.id for job in self._jobs.values() if not job.is_running]
        for job_id in ended[: max(0, len(ended) - _MOST_ENDED)]:
            del self._jobs[job_id], self._threads[job_id]


_RUNNING: dict[Kind, str] = {
    "add": "images are being added to this collection",
    "duplicates": "duplicates are being searched in this collection",
    "removal": "images of this collection are being removed",
}


async def changes(
    job: Job, stopping: asyncio.Event, *, look_seconds: float = _LOOK_SECONDS
) -> AsyncIterator[Snapshot | None]:
    """Yield a job's state now and whenever it changes, last how it ended.

    None: nothing has changed for a while; send something, so that the connection stays open.
    stopping: set when the server was told to stop; the answer then ends.
    """
    last: tuple[object, ...] = ()
    quiet = time.monotonic()
    while not stopping.is_set():
        snapshot = job.snapshot()
        seen = (snapshot.state, snapshot.step, snapshot.done, snapshot.total)
        now = time.monotonic()
        if seen != last:
            last, quiet = seen, now
            yield snapshot
        elif now - quiet > _ALIVE_SECONDS:
            quiet = now
            yield None
        if snapshot.state != "running":
            return
        await asyncio.sleep(look_seconds)


def event(name: str, data: str) -> bytes:
    """Return a server-sent event; data may have several lines."""
    lines = "".join(f"data: {line}\n" for line in data.splitlines() or [""])
    return f"event: {name}\n{lines}\n".encode()


COMMENT = b": still here\n\n"
"""Keeps a stream of events open."""

EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Of a stream of events; proxies must not hold it back."""
EVENT_TYPE = "text/event-stream"
