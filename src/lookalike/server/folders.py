"""Paths inside the private server's home folder.

HOME/mysql        the installed MySQL (of MariaDB: mariadb)
HOME/data         the data folder
HOME/tmp          the server's temporary files
HOME/run          the socket; if its path would be too long, a link to its folder in /tmp
HOME/mysqld.log   the server's log (of MariaDB: mariadbd.log)
HOME/mysqld.pid   written by the server (of MariaDB: mariadbd.pid)
HOME/server.json  the user's settings
HOME/native       native functions that an administrator has to install on another server

MariaDB's HOME is the folder mariadb in MySQL's.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.server.engine import MYSQL, Engine

SOCKET_NAME = "mysql.sock"
LONGEST_SOCKET = 103  # bytes: sun_path has 104 on macOS and 108 on Linux, including a final zero
LOCK_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Folders:
    """The paths of one engine's home folder, which is absolute and without links."""

    home: Path
    engine: Engine = MYSQL

    @property
    def tree(self) -> Path:
        return self.home / self.engine.name

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def tmp(self) -> Path:
        return self.home / "tmp"

    @property
    def log(self) -> Path:
        return self.home / f"{self.engine.program}.log"

    @property
    def pid_file(self) -> Path:
        return self.home / f"{self.engine.program}.pid"

    @property
    def settings(self) -> Path:
        return self.home / "server.json"

    @property
    def native(self) -> Path:
        return self.home / "native"

    @property
    def run(self) -> Path:
        """Return the folder of the socket: HOME/run, or the folder that it links to.

        If HOME is too long for a socket, starting the server makes a folder in /tmp and this link
        to it. Its name is random, so nobody can create it first. The link tells it to every
        process; TMPDIR and XDG_RUNTIME_DIR would differ between a login, a cron job and sudo.
        """
        folder = self._run
        if _fits(folder) or not folder.is_symlink():
            return folder
        return folder.readlink()

    @property
    def _run(self) -> Path:
        return self.home / "run"

    @property
    def socket(self) -> Path:
        return self.run / SOCKET_NAME

    @property
    def hidden_socket(self) -> Path:
        return self.socket.with_suffix(".hidden")

    def hide_socket(self) -> None:
        """Prevent new connections; the lock "server" must be held."""
        self.socket.rename(self.hidden_socket)

    def show_socket(self) -> None:
        """Allow connections again if the socket is hidden; the lock "server" must be held."""
        with suppress(FileNotFoundError):
            self.hidden_socket.rename(self.socket)

    def make_run(self) -> None:
        """Make the folder of the socket, for this user alone; the lock "server" must be held."""
        if self._run.is_symlink() and (_fits(self._run) or not _is_private(self.run)):
            self._run.unlink()
        if _fits(self._run):
            make_private(self._run)
        elif not self._run.is_symlink():
            if self._run.exists():  # left over from when HOME was elsewhere
                shutil.rmtree(self._run)
            self._run.symlink_to(tempfile.mkdtemp(prefix="lookalike-", dir="/tmp"))

    @contextmanager
    def locked(self, task: str) -> Iterator[None]:
        """Make the home folder, and hold a task's lock on it.

        OSErrors in the body (a full disk, a missing permission) become ServerErrors.
        """
        from filelock import FileLock, Timeout  # not needed to connect

        if os.name != "posix":
            raise ServerError(
                f"The private {self.engine.title} needs Linux or macOS: use your own server with "
                "--database URL"
            )
        try:
            make_private(self.home)
            with FileLock(self.home / f"{task}.lock", timeout=LOCK_LIMIT):
                yield
        except Timeout as error:
            raise ServerError(
                f"Another process has held {error.lock_file} for {LOCK_LIMIT:.0f} s: "
                "end it and try again"
            ) from None
        except OSError as error:
            raise ServerError(
                f"The private {self.engine.title} cannot use {self.home}: {error}; fix that, "
                "or set LOOKALIKE_HOME to another folder"
            ) from error


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may enter; its owner must be this user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerError(
            f"{folder} does not belong to this user (uid {os.geteuid()}): "
            "run as its owner, or set LOOKALIKE_HOME to another folder"
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def check_private(folder: Path) -> None:
    """Check that nobody else could have written into a folder; change nothing.

    Raises OSError if there is none, and ServerError if it may be another user's.
    """
    status = folder.lstat()
    mode = stat.S_IMODE(status.st_mode)
    if not stat.S_ISDIR(status.st_mode):
        fault = "it is not a folder"
    elif status.st_uid != os.geteuid():
        fault = f"it belongs to uid {status.st_uid}"
    elif mode & 0o077:
        fault = f"its mode is {mode:03o}"
    else:
        return
    raise ServerError(
        f"{folder} is not a folder of this user (uid {os.geteuid()}) alone, {fault}: stop the "
        "private server if it runs, and start it again, or set LOOKALIKE_HOME to another folder"
    )


def _is_private(folder: Path) -> bool:
    try:
        check_private(folder)
    except (OSError, ServerError):
        return False
    return True


def _fits(run: Path) -> bool:
    """Whether the socket's path in a folder is short enough."""
    return len(os.fsencode(run / SOCKET_NAME)) <= LONGEST_SOCKET


def require_space(folder: Path, *, megabytes: int, purpose: str) -> None:
    """Raise ServerError if a folder's disk has less free space than needed."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < megabytes:
        raise ServerError(
            f"{purpose} needs {megabytes} MB, and {folder} has {free} MB free: "
            "free some space, or set LOOKALIKE_HOME to a folder on a larger disk"
        )


def remove_leftovers(home: Path, prefix: str) -> None:
    """Remove the working folders of a killed task; its lock must be held."""
    for folder in home.glob(f"{prefix}*"):
        shutil.rmtree(folder, ignore_errors=True)
