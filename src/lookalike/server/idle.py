"""Stop the private server after an idle time, by a small process beside it.

The process stops the server only while it holds the lock under which servers are started. If the
process is killed, the server keeps running.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pymysql
from filelock import FileLock, Timeout
from pymysql.cursors import Cursor

from lookalike.core.errors import ServerError
from lookalike.server.dial import dial
from lookalike.server.engine import engine_named
from lookalike.server.folders import Folders
from lookalike.server.process import find_process, terminate
from lookalike.server.settings import load

LONGEST_STEP = 15.0  # seconds
SETTLED = 0.2  # seconds: after this, new connections appear in the process list
Connect = Callable[[], "pymysql.Connection[Cursor]"]


def watch_in_background(folders: Folders) -> None:
    """Start the process; it exits at once if another one is already watching."""
    subprocess.run(
        [sys.executable, "-m", "lookalike.server.idle", str(folders.home), folders.engine.name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folders.home,
        start_new_session=True,
        check=False,
    )


def watch(folders: Folders) -> None:
    """Wait until the server has been idle for the configured time, then stop it."""
    connections, idle_since = -1, time.monotonic()
    while process := find_process(folders):
        limit = load(folders).stop_after_idle
        if limit is None:
            return
        found = _others(folders)
        # Each check is a connection itself.
        if found is None or found[0] or found[1] != connections + 1:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since >= limit and _stop_if_idle(folders, process):
            return
        connections = found[1] if found else -1
        time.sleep(min(max(limit / 10, 0.1), LONGEST_STEP))


def _others(folders: Folders) -> tuple[int, int] | None:
    """Return (other clients now, connections ever made); None if the server does not answer."""
    try:
        with _connect(folders) as connection, connection.cursor() as cursor:
            return _count(cursor)
    except (pymysql.MySQLError, OSError, ServerError):
        return None


def _connect(folders: Folders) -> "pymysql.Connection[Cursor]":
    connection = pymysql.connect(
        user="root", read_timeout=60, ssl_disabled=True, defer_connect=True
    )
    connection.connect(dial(folders))
    return connection


def _count(cursor: Cursor) -> tuple[int, int]:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
    ((_, connections),) = cursor.fetchall()
    cursor.execute("SELECT CONNECTION_ID()")
    ((own,),) = cursor.fetchall()
    cursor.execute("SHOW PROCESSLIST")
    others = [row for row in cursor.fetchall() if row[0] != own and row[4] != "Daemon"]
    return len(others), int(connections)


def _stop_if_idle(folders: Folders, process: psutil.Process, *, settled: float = SETTLED) -> bool:
    """Stop the server unless a client connected; later clients start it again."""
    with folders.locked("server"):
        try:
            connection = _connect(folders)
        except (pymysql.MySQLError, OSError, ServerError):
            return False
        with connection, connection.cursor() as cursor:
            folders.hide_socket()
            try:
                time.sleep(settled)
                is_used = _count(cursor)[0] > 0
            except BaseException:
                folders.show_socket()
                raise
        if is_used:
            folders.show_socket()
            return False
        terminate(process, folders)
        folders.hidden_socket.unlink(missing_ok=True)
        return True


def main(home: Path, engine: str) -> None:
    """Watch as a daemon: without parent, terminal or inherited working folder."""
    if os.fork():
        os._exit(0)
    folders = Folders(home, engine_named(engine))
    try:
        with FileLock(home / "idle.lock", timeout=0):
            watch(folders)
    except (Timeout, ServerError):  # another process watches, or the home is gone
        return


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
