"""Private servers of a test's own, and their processes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pymysql

from lookalike.server import process as server_process
from lookalike.server.private import PrivateServer

START = """
import sys
from pathlib import Path
from lookalike.server.private import PrivateServer
print(PrivateServer(Path(sys.argv[1]), engine=sys.argv[2]).start().pid)
"""
PAGE = 16384  # bytes
LIMIT = 60.0  # seconds


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes_of(home: Path) -> list[psutil.Process]:
    """The processes that work in a home folder: of its server, or one that makes its data."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(f"--datadir={home}/" in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if server_process.is_alive(process)]


def root(server: PrivateServer) -> Path:
    """The home folder in which a server has its own."""
    return server.home.parent if server.engine.folder else server.home


def end(server: PrivateServer) -> None:
    """Ends what a test has left running, and removes its 200 MB."""
    for process in processes_of(server.home):
        process.kill()
    wait_until(lambda: not processes_of(server.home))
    shutil.rmtree(server.home, ignore_errors=True)


def kill(server: PrivateServer) -> None:
    """Kills the server as a crash would."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(server.home))


def query(server: PrivateServer, *statements: str) -> tuple[tuple[object, ...], ...]:
    """The rows of the last of some statements."""
    connection = pymysql.connect(
        unix_socket=str(server.status().socket), user="root", database="lookalike", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def starter(server: PrivateServer) -> "subprocess.Popen[str]":
    """Another process, in a session of its own, that starts the server."""
    return subprocess.Popen(
        [sys.executable, "-c", START, str(root(server)), server.engine.name],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def cli(server: PrivateServer, *args: str) -> "subprocess.CompletedProcess[str]":
    """A command of `lookalike` on a server."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *args],
        env={**os.environ, "LOOKALIKE_HOME": str(root(server))},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
