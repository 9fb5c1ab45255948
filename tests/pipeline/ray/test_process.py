"""The process that drives Ray: what it listens on, and that all of it ends."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

import lookalike
from lookalike import LookalikeError, RayCluster
from lookalike.models.efficientnet.model import PREPROCESSING
from lookalike.pipeline.decoder import import_path
from lookalike.pipeline.ray import process
from lookalike.pipeline.ray.driver import DriverOptions
from lookalike.pipeline.ray.process import RayDriver
from lookalike.pipeline.ray.workers import SOUND, DecodeOptions, ModelOptions
from tests.pipeline.decoders import LIMIT
from tests.storages import web_server

MODEL = ModelOptions("efficientnet-lite2", 1280, lookalike.__version__, None)


def driver(cluster=None, check=lambda: None, notices=()):
    return RayDriver(
        lambda folder: DriverOptions(
            cluster or RayCluster(), DecodeOptions(PREPROCESSING, LIMIT), MODEL, folder
        ),
        check=check,
        notify=list(notices).append,
    )


def started(pid):
    """A process and all that descend from it, now."""
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def listens_on(processes):
    """The addresses that processes listen on."""
    found = set()
    for each in processes:
        try:
            connections = each.net_connections("inet")
        except psutil.NoSuchProcess:
            continue
        found |= {c.laddr.ip.removeprefix("::ffff:") for c in connections if c.status == "LISTEN"}
    return found


def wait_for_end(processes, folder):
    """Wait until processes have ended, and any other that Ray started in a folder."""
    _, alive = psutil.wait_procs(processes, timeout=LIMIT)
    assert not alive
    deadline = time.monotonic() + LIMIT
    while left := [p for p in psutil.process_iter() if str(folder) in _command(p)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.2)


def _command(each):
    try:
        return " ".join(each.cmdline())
    except psutil.Error:
        return ""


@pytest.mark.slow
def test_it_embeds_listens_on_loopback_alone_and_all_of_it_ends(photos):
    before = dict(os.environ), signal.getsignal(signal.SIGTERM), sys.excepthook
    window = [(5, str(photos / "cat.jpg"))]
    with web_server(photos) as url, closing(driver()) as ray:
        window += [(6, f"{url}bee.jpg")]
        rows = [row for rows in ray.embed(window) for row in rows]
        assert sorted((row.number, row.outcome) for row in rows) == [(5, SOUND), (6, SOUND)]
        assert all(len(row.embedding) == 4 * 1280 for row in rows)
        processes, folder = started(ray._process.pid), ray._folder
        assert len(processes) > 5
        assert listens_on(processes) == {"127.0.0.1"}
    wait_for_end(processes, folder)
    assert not os.path.exists(folder)  # noqa: PTH110
    assert before == (dict(os.environ), signal.getsignal(signal.SIGTERM), sys.excepthook)


@pytest.mark.slow
def test_all_of_it_ends_with_a_parent_that_is_killed(photos, tmp_path):
    program = (
        "import time\n"
        "from tests.pipeline.ray.test_process import driver\n"
        f"ray = driver(); list(ray.embed([(1, {str(photos / 'cat.jpg')!r})]))\n"
        "print(ray._process.pid, ray._folder, flush=True); time.sleep(600)\n"
    )
    path = os.pathsep.join(import_path())
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": "/tmp"},
    ) as parent:
        pid, folder = parent.stdout.readline().split()
        processes = started(int(pid))
        parent.kill()
    wait_for_end(processes, folder)
    assert not os.path.exists(folder)  # noqa: PTH110


@pytest.mark.slow
def test_it_can_be_stopped_while_ray_starts():
    class Enough(Exception):
        pass

    def check():
        raise Enough

    with closing(driver(check=check)) as ray, pytest.raises(Enough):
        next(ray.embed([(1, "none")]))
    wait_for_end([ray._process], ray._folder)


def test_a_cluster_that_is_not_there_is_told_of():
    with (
        closing(driver(RayCluster("127.0.0.1:9"))) as ray,
        pytest.raises(LookalikeError, match=r"^cannot use Ray on 127\.0\.0\.1:9: .*refused"),
    ):
        next(ray.embed([(1, "none")]))


@pytest.mark.slow
def test_more_workers_than_fit_are_refused_on_this_machine():
    with (
        closing(driver(RayCluster(workers=(500, None)))) as ray,
        pytest.raises(LookalikeError, match="500 workers and decoding need 501 CPUs"),
    ):
        next(ray.embed([(1, "none")]))


def test_a_process_that_dies_is_told_of_with_its_last_words(monkeypatch):
    monkeypatch.setattr(process, "_PROGRAM", "raise SystemExit('there is no Ray')")
    with (
        closing(driver()) as ray,
        pytest.raises(LookalikeError, match=r"has ended \(status 1\): there is no Ray"),
    ):
        next(ray.embed([(1, "none")]))
