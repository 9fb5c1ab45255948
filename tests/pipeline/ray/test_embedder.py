"""What comes back from Ray: each file once, or with a reason; with a stand-in for its process."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from lookalike import EmbeddingError, LookalikeError, MissingExtra, RayCluster
from lookalike.models.lazy import LazyModel
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.ray import embedder
from lookalike.pipeline.ray.driver import Row
from lookalike.pipeline.ray.workers import DAMAGED, FATAL, NOT_EMBEDDED, OUT_OF_REACH, SOUND
from lookalike.pipeline.tasks import TaskGroup
from tests.colours import Colours

VECTOR = np.array([1, 2, 3], np.float32)


def row(number, outcome=SOUND, reason=""):
    return Row(number, outcome, reason, 5, 7, VECTOR.tobytes() if outcome == SOUND else b"")


class Stub:
    """Answers each window with the next of `answers`: a function of its numbers."""

    answers: tuple = ()
    windows: list

    def __init__(self, make_options, *, check, notify):
        self.lost = ""
        type(self).windows = []

    def embed(self, window):
        self.windows.append(window)
        answer = self.answers[min(len(self.windows), len(self.answers)) - 1]
        yield from answer([number for number, _ in window])

    def close(self):
        pass


def run(monkeypatch, files, *answers):
    """Embed files with a stub that gives these answers; return the jobs."""
    monkeypatch.setattr(Stub, "answers", answers)
    monkeypatch.setattr(embedder, "RayDriver", Stub)
    rayed = embedder.RayEmbedder[Path](
        LazyModel.of(Colours()),
        lambda item: item,
        RayCluster(),
        batch_size=None,
        time_limit=60,
        meter=Meter(),
        notify=print,
    )
    with TaskGroup() as group:
        channel = group.channel(10)
        for file in files:
            channel.put(Path(file))
        channel.close()
        return [job for jobs in rayed.embed(group, channel) for job in jobs]


def test_no_files_start_nothing(monkeypatch):
    monkeypatch.setattr(Stub, "windows", None, raising=False)
    assert run(monkeypatch, []) == []
    assert Stub.windows is None


def test_each_file_comes_back_with_its_outcome(monkeypatch):
    outcomes = [SOUND, DAMAGED, OUT_OF_REACH, NOT_EMBEDDED]
    jobs = run(
        monkeypatch,
        ["a", "b", "c", "d"],
        lambda numbers: [[row(n, outcomes[n], "why") for n in reversed(numbers)]],
    )
    found = {str(job.item): job for job in jobs}
    np.testing.assert_array_equal(found["a"].embedding, VECTOR)
    assert found["a"].error is None
    assert (found["a"].decoded.size, found["a"].decoded.mtime_ns) == (5, 7)
    assert {name: type(found[name].error).__name__ for name in "bcd"} == {
        "b": "ImageError",
        "c": "OutOfReach",
        "d": "ImageError",
    }
    assert {str(found[name].error) for name in "bcd"} == {"why"}


def test_a_row_that_comes_twice_counts_once(monkeypatch):
    jobs = run(monkeypatch, ["a", "b"], lambda numbers: [[row(0)], [row(1), row(0)]])
    assert [str(job.item) for job in jobs] == ["a", "b"]


def test_what_ray_loses_is_tried_again(monkeypatch):
    jobs = run(
        monkeypatch,
        ["a", "b", "c"],
        lambda numbers: [[row(1)]],
        lambda numbers: [[row(n) for n in numbers]],
    )
    assert sorted(str(job.item) for job in jobs) == ["a", "b", "c"]
    assert [[path for _, path in window] for window in Stub.windows] == [
        ["a", "b", "c"],
        ["a", "c"],
    ]


def test_what_is_lost_again_and_again_is_a_failure_that_is_retried(monkeypatch):
    jobs = run(monkeypatch, ["a", "b"], lambda numbers: [[row(0)]], lambda numbers: [])
    assert len(Stub.windows) == embedder.TRIES
    assert type(jobs[-1].error).__name__ == "OutOfReach"
    assert str(jobs[-1].error) == "lost by Ray: no worker answered"


def test_a_worker_at_fault_ends_the_run(monkeypatch):
    with pytest.raises(LookalikeError, match="a worker on x: no weights"):
        run(monkeypatch, ["a"], lambda numbers: [[row(0, FATAL, "a worker on x: no weights")]])


def test_a_model_that_embeds_nothing_ends_the_run(monkeypatch):
    with pytest.raises(EmbeddingError, match="all zero"):
        run(monkeypatch, ["a"], lambda numbers: [[row(0, NOT_EMBEDDED, "all zero")]])


def test_without_ray_the_command_that_installs_it_is_told(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"embedding on a Ray cluster needs an extra: .*\[ray\]"):
        embedder.check("efficientnet-lite2")
