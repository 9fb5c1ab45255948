"""The private server of one engine in one home folder."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pymysql
from pymysql.constants import CR, ER
from pymysql.cursors import Cursor

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress, silent
from lookalike.server import log, settings, upgrade
from lookalike.server.address import DATABASE, USER, PrivateAddress
from lookalike.server.commands import tail
from lookalike.server.folders import check_private
from lookalike.server.idle import watch_in_background
from lookalike.server.install.install import install
from lookalike.server.mysqld import NO_OPTION_FILES, Mysqld, find, find_or_refuse
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

NOT_ACCEPTING = {
    CR.CR_CONNECTION_ERROR,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    ER.SERVER_SHUTDOWN,
}


@dataclass(frozen=True)
class ServerStatus:
    """Status of a private server.

    Attributes:
        engine: "mysql" or "mariadb".
        running: Whether it runs.
        version: None if none is installed.
        pid: Process id, if it runs.
        socket: Path of its socket.
        datadir: Data folder.
        mysqld: Path of the program, mysqld or mariadbd; None if none is installed.
        url: URL for `connect`.
        log: Path of its log.
        buffer_pool: In bytes; if it is not running, as set for the next start.
        stop_after_idle: In seconds; None: it runs until it is stopped.
    """

    engine: str
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


class PrivateServer(PrivateAddress):
    """A private server of one user, without network; all its files are in one home folder.

    The server is started on demand and runs until it is stopped. A step that fails raises
    ServerError with the reason and, if useful, the end of the server's log.

    Args:
        home: The home folder. By default the LOOKALIKE_HOME variable, or else the user's data
            folder.
        engine: "mysql" (default) or "mariadb"; each has a server of its own.
    """

    def __init__(self, home: Path | None = None, *, engine: str = "mysql") -> None:
        super().__init__(home, engine=engine)
        self._folders = self.folders

    def status(self) -> ServerStatus:
        """Return the server's status; nothing is changed.

        Raises:
            ServerError: Another user's server runs in place of this one.
        """
        process = find_process(self._folders)
        version = self._ask_version() if process else None
        if process and version:
            return self._describe(process, program_of(process), version)
        try:
            found = find(self._folders.tree, self.engine)
        except ServerError:  # `start` will report it
            found = None
        if found is None:
            return self._describe(process, None, None)
        return self._describe(process, found.path, found.version)

    def install(self, *, mirror: str | None = None, progress: StepProgress = silent) -> Path:
        """Install the server if none is installed, and return the path of its program.

        Args:
            mirror: URL of a Debian mirror to use instead of the machine's own.
            progress: Called with (step, done, total).
        """
        return install(self._folders, mirror=mirror, progress=progress).path

    def start(
        self,
        *,
        buffer_pool: str | None = None,
        stop_after_idle: str | None = None,
        progress: StepProgress = silent,
    ) -> ServerStatus:
        """Start the server if it is not running, and create the database `lookalike`.

        The first start creates the data folder. Settings take effect now, on a running server too,
        and apply to later starts.

        Args:
            buffer_pool: Size such as "1G", or "auto".
            stop_after_idle: Time such as "30m", or "never".
            progress: Called with (step, done, total).

        Raises:
            InputError: A setting is not valid.
        """
        before = settings.load(self._folders)
        chosen = before.changed(buffer_pool, stop_after_idle)
        process = find_process(self._folders)
        version = self._ask_version() if process else None
        if process is None or version is None or chosen != before:
            with self._folders.locked("server"):
                if chosen != before:
                    settings.save(self._folders, chosen)
                self._folders.show_socket()  # if the process that hid it was killed
                process = self._wait_for_running(progress) or self._start_new(progress)
                version = self._make_database()
                if chosen.buffer_pool != before.buffer_pool:
                    self._resize(chosen.pool_bytes)
        if chosen.stop_after_idle is not None:
            watch_in_background(self._folders)
        return self._describe(process, program_of(process), version)

    def stop(self) -> bool:
        """Shut the server down cleanly and wait for its end; return False if it was not running."""
        if find_process(self._folders) is None:
            return False
        with self._folders.locked("server"):
            process = find_process(self._folders)
            if process is None:
                return False
            terminate(process, self._folders)
            return True

    def client_command(self, args: Sequence[str] = ()) -> list[str]:
        """Return the command that runs the engine's client on this server, with `args` passed on.

        The client opens the socket by its path, so start the server just before: this checks the
        socket's folder, in which nobody else can then create anything.
        """
        mysqld = find_or_refuse(self._folders.tree, self.engine)
        return [
            *mysqld.client(),
            NO_OPTION_FILES,
            *self.engine.client_options,
            f"--user={USER}",
            "--protocol=SOCKET",
            f"--socket={self._folders.socket}",
            f"--database={DATABASE}",
            *args,
        ]

    def client(self) -> list[str] | None:
        """Return the command that runs this installation's client; None without one."""
        try:
            found = find(self._folders.tree, self.engine)
            return found.client() if found else None
        except ServerError:
            return None

    def _start_new(self, progress: StepProgress) -> psutil.Process:
        mysqld = find_or_refuse(self._folders.tree, self.engine)
        data = self._folders.data
        if not data.exists() or not any(data.iterdir()):
            progress(f"Making {self.engine.title}'s data folder", 0, 0)
            make_data(mysqld, self._folders)
        progress(f"Starting {self.engine.title}", 0, 0)
        pool = settings.load(self._folders).pool_bytes
        launch(mysqld, self._folders, pool, accepts=self._accepts)
        if process := find_process(self._folders):
            self._upgrade(mysqld, process, progress)
            return process
        end = tail(log.read_from(self._folders.log, 0))
        raise ServerError(f"{mysqld.path} started but stopped again: see its log\n{end}")

    def _upgrade(self, mysqld: Mysqld, process: psutil.Process, progress: StepProgress) -> None:
        """Upgrade the tables of an older version; a server that keeps them does not go on."""
        try:
            upgrade.upgrade(mysqld, self._folders, progress)
        except BaseException:
            terminate(process, self._folders)
            raise

    def _wait_for_running(self, progress: StepProgress) -> psutil.Process | None:
        """Return the running server when it accepts connections; None if it has ended."""
        deadline = time.monotonic() + START_LIMIT
        while process := find_process(self._folders):
            self._check_socket(process)
            if self._accepts():
                return process
            if time.monotonic() > deadline:
                raise ServerError(
                    f"{self.engine.title} (pid {process.pid}) has not answered on "
                    f"{self._folders.socket} in {START_LIMIT:.0f} s: "
                    f"{self.engine.to_stop} and start it again"
                )
            progress(f"Waiting for {self.engine.title} to answer", 0, 0)
            time.sleep(STEP)
        return None

    def _check_socket(self, process: psutil.Process) -> None:
        """Raise ServerError if the server can never be reached at the socket."""
        folder = self._folders.run
        try:
            check_private(folder)
            is_there = has_socket(process, self.socket)
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise ServerError(
                f"{self.engine.title} (pid {process.pid}) runs, but its socket is not in {folder} "
                f"any more: {self.engine.to_stop} and start it again"
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
        """Return the running server's version; None if it does not answer or has no `lookalike`."""
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
                f"The private {self.engine.title} runs, but refuses its user {USER}: "
                f"{error.args[-1]}; its log is {self._folders.log}"
            ) from error

    def _resize(self, buffer_pool: int) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute("SET GLOBAL innodb_buffer_pool_size = %s", (buffer_pool,))

    def _buffer_pool(self, chosen: int) -> int:
        """Return the buffer pool of a running server, or else the chosen size."""
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
            engine=self.engine.name,
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
    return str(version).partition(" ")[0]  # "11.8.9-MariaDB-0+deb13u1 from Debian"
