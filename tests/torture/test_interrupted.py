"""`make torture` leaves nothing behind where it is interrupted."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests.places import REPO

pytestmark = pytest.mark.nightly

FULL_DISK = ("--seed", "3", "--round", "0")
"""A round whose disk fills up, where one may be mounted."""


@pytest.fixture
def short_folder():
    """For temporary files, with a path that a socket's may begin with."""
    folder = Path(tempfile.mkdtemp(prefix="lk-"))
    yield folder
    shutil.rmtree(folder)


def processes_of(folder: Path) -> list[psutil.Process]:
    """The processes whose temporary files go there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.usefixtures("installed_mysqld")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_torture_leaves_nothing(number, short_folder):
    command = [sys.executable, "-m", "tests.torture", *FULL_DISK]
    environment = {**os.environ, "TMPDIR": str(short_folder)}
    run = subprocess.Popen(
        command, cwd=REPO, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 60
    while not list(short_folder.glob("lk-*/journals/searcher*.jsonl")):
        assert run.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    assert len(processes_of(short_folder)) > 5
    run.send_signal(number)
    # It ends when the last process has closed its standard output, too.
    told = run.communicate(timeout=60)[0].decode()
    assert "Traceback" not in told
    _, alive = psutil.wait_procs(processes_of(short_folder), timeout=10)
    assert alive == []
    assert list(short_folder.iterdir()) == []
    assert str(short_folder) not in Path("/proc/mounts").read_text()
