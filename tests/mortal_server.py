"""A MySQL of the tests' own that may be killed, in a short folder, and ended by its pid."""

import contextlib
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from lookalike.server.mysqld import inspect

START_LIMIT = 100  # seconds
SMALL = ("--innodb-buffer-pool-size=64M", "--innodb-redo-log-capacity=32M")
ALONE = ("--skip-networking", "--mysqlx=OFF", "--disable-log-bin", "--performance-schema=OFF")


def make_data(mysqld: Path, data: Path, *options: str) -> None:
    """Make a data folder with a user root without password."""
    command = [*inspect(mysqld).command(), f"--datadir={data}", *SMALL, *options]
    subprocess.run([*command, "--initialize-insecure"], check=True, capture_output=True)


class MortalServer:
    """A small MySQL with databases in it; it runs until it is killed.

    options: of mysqld. data: a data folder to begin with a copy of.
    """

    def __init__(self, mysqld: Path, folder: Path, *options: str, data: Path | None = None) -> None:
        own = folder / "data"
        self._command = [*inspect(mysqld).command(), f"--datadir={own}", *SMALL]
        self._options = options
        self._folder = folder
        if data is None:
            make_data(mysqld, own)
        else:
            shutil.copytree(data, own)
        self.start()

    @property
    def socket(self) -> Path:
        return self._folder / "socket"

    def start(self) -> None:
        """Start it and wait until it answers."""
        for stale in (self.socket, self.socket.with_name("socket.lock")):
            stale.unlink(missing_ok=True)
        options = (f"--socket={self.socket}", f"--pid-file={self._folder / 'pid'}", *ALONE)
        options += self._options
        log = self._folder / "log"
        with log.open("a") as output:
            self._process = subprocess.Popen(
                [*self._command, *options], stdout=output, stderr=output, start_new_session=True
            )
        deadline = time.monotonic() + START_LIMIT
        while True:
            assert self._process.poll() is None and time.monotonic() < deadline, log.read_text()
            with contextlib.suppress(pymysql.err.OperationalError):
                return self._root().close()
            time.sleep(0.02)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def start_if_killed(self) -> None:
        if self._process.poll() is not None:
            self.start()

    def run(self, *statements: str) -> None:
        with contextlib.closing(self._root()) as root, root.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def url(self, database: str = "mysql", user: str = "root") -> str:
        return f"mysql://{user}@localhost/{database}?unix_socket={self.socket}"

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def _root(self) -> "pymysql.Connection":
        return pymysql.connect(unix_socket=str(self.socket), user="root")


@contextmanager
def mortal_server(mysqld: Path) -> Iterator[MortalServer]:
    """Run a server on a new data folder with an installed mysqld."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        server = MortalServer(mysqld, Path(folder))
        try:
            yield server
        finally:
            server.kill()
