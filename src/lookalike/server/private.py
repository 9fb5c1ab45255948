"""The private MySQL server of one home folder."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket as Socket
from urllib.parse import quote

import platformdirs
import psutil
import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress, silent
from lookalike.server import log, settings
from lookalike.server.commands import tail
from lookalike.server.dial import dial
from lookalike.server.folders import Folders, check_private
from lookalike.server.idle import watch_in_background
from lookalike.server.install.install import install
from lookalike.server.mysqld import NO_OPTION_FILES, find, find_or_refuse
from lookalike.server.process import (
    START_LIMIT,
    STEP,
    find_process,
    has_socket,
    launch,
    make_data,
    program_of,
    terminate,
)

USER = "root"
DATABASE = "lookalike"
NOT_ACCEPTING = {
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    ER.SERVER_SHUTDOWN,
}


@dataclass(frozen=True)
class ServerStatus:
    """What is known of a private server; `version` and `mysqld` are None where none is found.

    buffer_pool: bytes, as set for the next start where it is not running. stop_after_idle: seconds,
    None where it runs until it is stopped.
    """

    running: bool
    version: str | None
    pid: int | None
    socket: Path
    datadir: Path
    mysqld: Path | None
    url: str
    log: Path
    buffer_pool: int
    stop_after_idle: int | None


class PrivateServer:
    """A MySQL 9 of one user, without network: its data, socket and log lie in a home folder.

    The home folder is `home`, else the variable LOOKALIKE_HOME, else the user's data folder. The
    server is started when it is needed and left running until it is stopped. Where a step fails a
    ServerError tells why, with the end of the server's log where that is what tells.
    """

    def __init__(self, home: Path | None = None) -> None:
        chosen = home or os.environ.get("LOOKALIKE_HOME") or platformdirs.user_data_path(DATABASE)
        self.home = Path(chosen).expanduser().resolve()
        self._folders = Folders(self.home)

    @property
    def socket(self) -> Path:
        """The server's socket; with a long home its path is another one after the first start."""
        return self._folders.socket

    @property
    def url(self) -> str:
        """The server's URL, which names its socket."""
        path = quote(os.fsencode(self.socket))
        return f"mysql://{USER}@localhost/{DATABASE}?unix_socket={path}"

    def dial(self) -> Socket:
        """Connects to the socket, and makes sure that this user's own server listens there.

        Raises OSError where nobody does, and ServerError where somebody else does or could.
        """
        return dial(self._folders)

    def status(self) -> ServerStatus:
        """Looks at the server, and changes nothing.

        Raises ServerError where another user's server is in the place of a running one.
        """
        process = find_process(self._folders)
        version = self._ask_version() if process else None
        if process and version:
            return self._describe(process, program_of(process), version)
        try:
            found = find(self._folders.tree)
        except ServerError:  # start will tell it
            found = None
        if found is None:
            return self._describe(process, None, None)
        return self._describe(process, found.path, found.version)

    def install(self, *, mirror: str | None = None, progress: StepProgress = silent) -> Path:
        """Installs MySQL 9 unless there is one, and returns the path of its mysqld.

        `mirror` is the address of a Debian mirror to take it from, instead of the machine's own.
        """
        return install(self._folders, mirror=mirror, progress=progress).path

    def start(
        self,
        *,
        buffer_pool: str | None = None,
        stop_after_idle: str | None = None,
        progress: StepProgress = silent,
    ) -> ServerStatus:
        """Starts the server unless it runs, with a database `lookalike`.

        Its data folder is made when it is first started. `buffer_pool`, such as "1G" or "auto", and
        `stop_after_idle`, such as "30m" or "never", hold from now on, also for a server that runs
        and for later starts. Raises InputError where they cannot be read.
        """
        before = settings.load(self._folders)
        chosen = before.changed(buffer_pool, stop_after_idle)
        process = find_process(self._folders)
        version = self._ask_version() if process else None
        if process is None or version is None or chosen != before:
            with self._folders.locked("server"):
                if chosen != before:
                    settings.save(self._folders, chosen)
                self._folders.show_socket()  # where whoever has hidden it was killed
                process = self._wait_for_running(progress) or self._start_new(progress)
                version = self._make_database()
                if chosen.buffer_pool != before.buffer_pool:
                    self._resize(chosen.pool_bytes)
        if chosen.stop_after_idle is not None:
            watch_in_background(self._folders)
        return self._describe(process, program_of(process), version)

    def stop(self) -> bool:
        """Shuts the server down cleanly and waits for its end; False if it was not running."""
        if find_process(self._folders) is None:
            return False
        with self._folders.locked("server"):
            process = find_process(self._folders)
            if process is None:
                return False
            terminate(process, self._folders)
            return True

    def client_command(self, args: Sequence[str] = ()) -> list[str]:
        """The arguments that open the `mysql` client on this server, with `args` passed to it.

        The client opens the socket by its path, so the server must have been started just before:
        that has made sure of the socket's folder, into which nobody else can put anything.
        """
        mysqld = find_or_refuse(self._folders.tree)
        return [
            *mysqld.client(),
            NO_OPTION_FILES,
            "--no-login-paths",
            f"--user={USER}",
            "--protocol=SOCKET",
            f"--socket={self._folders.socket}",
            f"--database={DATABASE}",
            *args,
        ]

    def client(self) -> list[str] | None:
        """The arguments that run the `mysql` client of this server's MySQL; None without one."""
        try:
            found = find(self._folders.tree)
            return found.client() if found else None
        except ServerError:
            return None

    def _start_new(self, progress: StepProgress) -> psutil.Process:
        mysqld = find_or_refuse(self._folders.tree)
        data = self._folders.data
        if not data.exists() or not any(data.iterdir()):
            progress("Making MySQL's data folder", 0, 0)
            make_data(mysqld, self._folders)
        progress("Starting MySQL", 0, 0)
        launch(mysqld, self._folders, settings.load(self._folders).pool_bytes)
        if process := find_process(self._folders):
            return process
        end = tail(log.read_from(self._folders.log, 0))
        raise ServerError(f"{mysqld.path} started but stopped again: see its log\n{end}")

    def _wait_for_running(self, progress: StepProgress) -> psutil.Process | None:
        """The running server once it accepts connections; None when there is none any more."""
        deadline = time.monotonic() + START_LIMIT
        while process := find_process(self._folders):
            self._check_socket(process)
            if self._accepts():
                return process
            if time.monotonic() > deadline:
                raise ServerError(
                    f"MySQL (pid {process.pid}) has not answered on {self._folders.socket} in "
                    f"{START_LIMIT:.0f} s: run `lookalike server stop` and start it again"
                )
            progress("Waiting for MySQL to answer", 0, 0)
            time.sleep(STEP)
        return None

    def _check_socket(self, process: psutil.Process) -> None:
        """Raises a ServerError where a server cannot be reached, however long one waits."""
        folder = self._folders.run
        try:
            check_private(folder)
            is_there = has_socket(process, self.socket)
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise ServerError(
                f"MySQL (pid {process.pid}) runs, but its socket is not in {folder} any more: run "
                "`lookalike server stop` and start it again"
            )

    def _connect(self, database: str | None = None) -> "pymysql.Connection[Cursor]":
        connection = pymysql.connect(
            user=USER, database=database, read_timeout=60, ssl_disabled=True, defer_connect=True
        )
        connection.connect(self.dial())
        return connection

    def _accepts(self) -> bool:
        try:
            self._connect().close()
        except pymysql.MySQLError as error:
            return error.args[0] not in NOT_ACCEPTING
        except OSError:
            return False
        return True

    def _ask_version(self) -> str | None:
        """The version of the server that answers; None when none does, or has no `lookalike`."""
        try:
            with self._connect(DATABASE) as connection, connection.cursor() as cursor:
                return _version(cursor)
        except (pymysql.MySQLError, OSError):
            return None

    def _make_database(self) -> str:
        try:
            with self._connect() as connection, connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
                return _version(cursor)
        except pymysql.MySQLError as error:
            raise ServerError(
                f"The private MySQL runs, but refuses its user {USER}: {error.args[-1]}; "
                f"its log is {self._folders.log}"
            ) from error

    def _resize(self, buffer_pool: int) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_buffer_pool_size = %s", (buffer_pool,))

    def _buffer_pool(self, chosen: int) -> int:
        """The size that a running server has, else the one that is chosen."""
        try:
            with self._connect() as connection, connection.cursor() as cursor:
                cursor.execute("SELECT @@GLOBAL.innodb_buffer_pool_size")
                return int(cursor.fetchall()[0][0])
        except (pymysql.MySQLError, OSError):
            return chosen

    def _describe(
        self, process: psutil.Process | None, mysqld: Path | None, version: str | None
    ) -> ServerStatus:
        chosen = settings.load(self._folders)
        pool = chosen.pool_bytes
        return ServerStatus(
            running=process is not None,
            version=version,
            pid=process.pid if process else None,
            socket=self._folders.socket,
            datadir=self._folders.data,
            mysqld=mysqld,
            url=self.url,
            log=self._folders.log,
            buffer_pool=self._buffer_pool(pool) if process and version else pool,
            stop_after_idle=chosen.stop_after_idle,
        )


def _version(cursor: Cursor) -> str:
    cursor.execute("SELECT VERSION()")
    (version,) = cursor.fetchall()[0]
    return str(version)
