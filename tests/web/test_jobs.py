"""Work that takes longer than a request."""

import asyncio
from threading import Event

import pytest

from lookalike import InputError
from lookalike.web.jobs import Jobs, changes, event
from lookalike.web.problems import Problem
from tests.web.serving import run_apart


def wait_for(job):
    """Return the states of a job until its end."""

    async def look():
        return [each async for each in changes(job, asyncio.Event(), look_seconds=0.001)]

    return run_apart(asyncio.wait_for(look(), 10))


@pytest.fixture
def jobs():
    jobs = Jobs()
    yield jobs
    jobs.close(5)


def test_progress_and_result(jobs):
    go = Event()

    def work(job):
        job.report("reading", 1, 4)
        go.wait(10)
        return "done it"

    job = jobs.start("add", "photos", work, what="/pictures")
    while job.snapshot().done == 0:
        pass
    assert jobs.running("photos") is job
    assert job.snapshot().share == 0.25
    go.set()
    last = wait_for(job)[-1]
    assert (last.state, last.step, last.error) == ("done", "reading", "")
    assert (job.result, job.what) == ("done it", "/pictures")
    assert jobs.latest("add", "photos") is jobs.get(job.id) is job
    assert jobs.latest("duplicates", "photos") is jobs.latest("add", "shoes") is None
    assert jobs.running("photos") is None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InputError("no such folder: /x"), "no such folder: /x"),
        (RuntimeError("secret"), "the server failed; its log says why"),
    ],
)
def test_errors_are_told(jobs, error, told):
    def work(job):
        raise error

    last = wait_for(jobs.start("add", "photos", work))[-1]
    assert (last.state, last.error) == ("failed", told)


def test_one_at_a_time_for_each_collection(jobs):
    go = Event()
    job = jobs.start("add", "photos", lambda job: go.wait(10))
    with pytest.raises(Problem, match="images are being added") as caught:
        jobs.start("duplicates", "photos", lambda job: None)
    assert caught.value.status == 409
    other = jobs.start("duplicates", "shoes", lambda job: None)
    go.set()
    assert wait_for(job)[-1].state == wait_for(other)[-1].state == "done"
    assert jobs.start("duplicates", "photos", lambda job: None)


def endless(job):
    wait = Event()
    while True:
        job.report("waiting", 0, None)
        wait.wait(0.001)


def test_a_job_stops_when_told(jobs):
    job = jobs.start("add", "photos", endless)
    job.stop()
    assert wait_for(job)[-1].state == "stopped"


def test_closing_ends_all_and_starts_none(jobs):
    job = jobs.start("add", "photos", endless)
    jobs.close(5)
    assert job.snapshot().state == "stopped"
    with pytest.raises(Problem) as caught:
        jobs.start("add", "photos", endless)
    assert caught.value.status == 503


def test_old_jobs_are_forgotten(jobs):
    started = [jobs.start("add", f"c{number}", lambda job: None) for number in range(5)]
    for job in started:
        wait_for(job)
    first = started[0]
    jobs.forget(first)
    with pytest.raises(Problem) as caught:
        jobs.get(first.id)
    assert caught.value.status == 404
    for number in range(60):
        wait_for(jobs.start("add", f"d{number}", lambda job: None))
    assert jobs.latest("add", "c1") is None
    assert jobs.latest("add", "d59") is not None


def test_a_stream_ends_when_the_server_stops(jobs):
    job = jobs.start("add", "photos", endless)

    async def look():
        stopping = asyncio.Event()
        stream = changes(job, stopping, look_seconds=0.001)
        assert (await anext(stream)).state == "running"
        stopping.set()
        return [each async for each in stream]

    assert len(run_apart(asyncio.wait_for(look(), 10))) <= 1


def test_events_of_several_lines():
    assert event("progress", "one\ntwo") == b"event: progress\ndata: one\ndata: two\n\n"
    assert event("end", "") == b"event: end\ndata: \n\n"
