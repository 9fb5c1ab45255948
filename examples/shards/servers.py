"""Several MariaDB servers of this user's own on one machine: a head, and the shards behind it.

Each has a folder of its own and listens on a socket in it, on no network. They are the program that
`lookalike server install --engine mariadb` installs, with the plugin Spider on the head.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pymysql

from lookalike.server.engine import MARIADB
from lookalike.server.folders import Folders
from lookalike.server.mysqld import Mysqld, inspect
from lookalike.server.process import make_data

START_LIMIT, STOP_LIMIT = 120.0, 10.0  # seconds; the head may ignore SIGTERM
DATABASE = "lookalike"
HEAD = "head"

COMMON = (
    *("--skip-networking", "--performance-schema=OFF", "--max-allowed-packet=64M"),
    "--innodb-buffer-pool-size=128M",
)
OF_SHARDS = ("--mhnsw-max-cache-size=256M",)  # of the index of one table; by default 16 MB
OF_HEAD = (
    # Debian's Spider is of this maturity.
    *("--plugin-maturity=gamma", "--plugin-load-add=ha_spider"),
    # With two-phase commits a crash of the head loses what it has just committed.
    "--spider-support-xa=OFF",
)


@dataclass
class Server:
    """One server: its folder, and its process while it runs."""

    folder: Path
    mariadbd: Mysqld
    options: Sequence[str]
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def socket(self) -> Path:
        return self.folder / "socket"

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start its process."""
        command = [
            *self.mariadbd.command(),
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--tmpdir={self.folder}",
            *self.options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self.run()
                return
            except pymysql.OperationalError:
                has_ended = self.process is None or self.process.poll() is not None
                if has_ended or time.monotonic() > deadline:
                    raise SystemExit(f"it has not come up: see {self.folder / 'log'}") from None
                time.sleep(0.1)

    def run(self, *statements: str) -> None:
        """Run statements as root."""
        connection = pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def kill(self) -> None:
        """End it as a power failure would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut it down; one that does not end in time is killed."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Servers:
    """A head and its shards, in folders below one."""

    def __init__(self, folder: Path, mariadbd: Path, n_shards: int = 4) -> None:
        program = inspect(mariadbd, MARIADB)
        self.folder = folder
        self.shards = {
            f"shard{number}": Server(folder / f"shard{number}", program, (*COMMON, *OF_SHARDS))
            for number in range(1, n_shards + 1)
        }
        self.head = Server(folder / HEAD, program, (*COMMON, *OF_HEAD))

    @property
    def url(self) -> str:
        """The URL of the head's database."""
        return f"mariadb://root@localhost/{DATABASE}?unix_socket={self.head.socket}"

    def start(self) -> None:
        """Start all; the first time make their data, and tell the head of the shards."""
        servers = [*self.shards.values(), self.head]
        for server in servers:
            self._make(server)
            server.launch()
        for server in servers:
            server.wait()
            server.run(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        for name, shard in self.shards.items():
            self.head.run(
                f"CREATE OR REPLACE SERVER {name} FOREIGN DATA WRAPPER mariadb OPTIONS "
                f"(SOCKET '{shard.socket}', DATABASE '{DATABASE}', USER 'root')"
            )

    def _make(self, server: Server) -> None:
        if (server.folder / "data").is_dir():
            return
        template = Folders(self.folder, MARIADB)
        if not template.data.is_dir():
            self.folder.mkdir(parents=True, exist_ok=True)
            make_data(server.mariadbd, template)
        server.folder.mkdir(exist_ok=True)
        shutil.copytree(template.data, server.folder / "data")

    def stop(self) -> None:
        """Stop all, the head first."""
        for server in [self.head, *self.shards.values()]:
            server.stop()
