"""`lookalike add --ray`: its options, its output, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.ray_cluster import crops

PROGRAM = [sys.executable, "-m", "lookalike", "add"]
SECONDS = 120


def run(environment, *arguments):
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=SECONDS,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--ray", "FOLDER"], "without an address, give --ray after PATH"),
        (["FOLDER", "--ray", "ray://head:10001"], "give HOST:PORT of its head"),
        (["FOLDER", "--workers", "2"], "--workers needs --ray"),
        (["FOLDER", "--gpus-per-worker", "1"], "--gpus-per-worker needs --ray"),
        (["FOLDER", "--ray", "--workers", "few"], "'few' is neither a number nor MIN:MAX"),
        (["FOLDER", "--ray", "--workers", "4:2"], "workers are 4 to 2"),
    ],
)
def test_options_that_make_no_sense_are_refused(environment, photos, options, message):
    done = run(environment, *(str(photos) if each == "FOLDER" else each for each in options))
    assert done.returncode == 2
    assert message in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.nightly
def test_standard_output_is_the_document_alone(environment, tmp_path):
    crops(tmp_path / "images", 20)
    options = ["--model", "efficientnet-lite2", "--ray", "--workers", "1:1", "--json"]
    done = run(environment, tmp_path / "images", *options)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    document = json.loads(done.stdout)
    assert (document["added"], document["failed"]) == (20, [])
    assert "ray" in document["stages"]


@pytest.mark.nightly
@pytest.mark.parametrize("delay", [0.5, 12])
def test_ctrl_c_ends_all_that_was_started(environment, tmp_path, delay):
    """While Ray starts, and while its workers load the model or embed."""
    crops(tmp_path / "images", 1000)
    temporary = Path("/tmp", f"lk-{os.getpid()}")  # a socket's path is short
    temporary.mkdir()
    environment["TMPDIR"] = str(temporary)
    with subprocess.Popen(
        [*PROGRAM, tmp_path / "images", "--model", "efficientnet-lite2", "--ray"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
    ) as process:
        wait_for(lambda: any(map(is_driver, descendants(process.pid))))
        time.sleep(delay)
        started = descendants(process.pid)
        os.killpg(process.pid, signal.SIGINT)
        process.wait(SECONDS)
        assert process.returncode == 130
        assert "Traceback" not in process.stderr.read()
    _, alive = psutil.wait_procs(started, timeout=SECONDS)
    assert not [each for each in alive if each.name() != "mysqld"]
    wait_for(lambda: not list(temporary.glob("lookalike-ray-*")))
    shutil.rmtree(temporary)


def descendants(pid):
    return psutil.Process(pid).children(recursive=True)


def is_driver(process):
    try:
        return "lookalike.pipeline.ray.driver" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def wait_for(holds):
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
