"""A MariaDB with options of its own and new data, which are removed after it.

For the benchmarks, which compare with its native index.
"""

import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pymysql
from pymysql.cursors import Cursor

from lookalike import PrivateServer
from lookalike.server.engine import MARIADB
from lookalike.server.folders import Folders
from lookalike.server.mysqld import inspect
from lookalike.server.process import make_data

START_LIMIT = 60.0  # seconds
STOP_LIMIT = 300.0
DATABASE = "bench"

Connection: TypeAlias = "pymysql.Connection[Cursor]"


@contextmanager
def running(home: Path, options: Sequence[str] = ()) -> Iterator[Path]:
    """The socket of a MariaDB with an empty database `bench`; home: where it is installed."""
    mariadbd = inspect(PrivateServer(home, engine="mariadb").install(), MARIADB)
    # a socket's path is at most 107 bytes long, which that in the home may be
    with (
        tempfile.TemporaryDirectory(dir=home, prefix="data-") as folder,
        tempfile.TemporaryDirectory() as run,
        Path(folder, "log").open("w+") as log,
    ):
        folders, socket = Folders(Path(folder), MARIADB), Path(run, "socket")
        make_data(mariadbd, folders)
        places = [f"--datadir={folders.data}", f"--socket={socket}", f"--pid-file={run}/pid"]
        # A MariaDB that starts removes the temporary tables in this folder, also another's.
        places.append(f"--tmpdir={run}")
        server = subprocess.Popen(
            [*mariadbd.command(), *places, "--skip-networking", *options], stdout=log, stderr=log
        )
        try:
            with connect(socket, server, Path(folder, "log")) as connection:
                connection.query(f"CREATE DATABASE {DATABASE}")
            yield socket
        finally:
            server.terminate()
            server.wait(STOP_LIMIT)


def connect(socket: Path, server: "subprocess.Popen[bytes]", log: Path) -> Connection:
    """Connects as soon as the server answers."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            return pymysql.connect(unix_socket=str(socket), user="root", autocommit=True)
        except pymysql.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"mariadbd has not come up:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)
