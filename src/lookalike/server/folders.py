"""Where the private server keeps what in its home folder.

HOME/mysql        the installed MySQL
HOME/data         the data folder
HOME/tmp          the server's temporary files
HOME/run          the socket, where its path is not too long for one
HOME/mysqld.log   the server's log
HOME/mysqld.pid   written by the server
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lookalike.errors import ServerError

SOCKET_NAME = "mysql.sock"
LONGEST_SOCKET = 103  # bytes: sun_path holds 104 on macOS and 108 on Linux, with a final zero
LOCK_LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Folders:
    """The places of one home folder, which is an absolute path without links."""

    home: Path

    @property
    def tree(self) -> Path:
        return self.home / "mysql"

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def tmp(self) -> Path:
        return self.home / "tmp"

    @property
    def log(self) -> Path:
        return self.home / "mysqld.log"

    @property
    def pid_file(self) -> Path:
        return self.home / "mysqld.pid"

    @property
    def run(self) -> Path:
        """The folder of the socket.

        Where HOME is too long for a socket it is one of /tmp, named after HOME. Neither TMPDIR nor
        XDG_RUNTIME_DIR is asked: they differ between a login, a cron job and sudo, which must
        all come to the same path.
        """
        folder = self.home / "run"
        if len(os.fsencode(folder / SOCKET_NAME)) <= LONGEST_SOCKET:
            return folder
        name = hashlib.sha256(os.fsencode(self.home)).hexdigest()[:16]
        return Path("/tmp") / f"lookalike-{name}"

    @property
    def socket(self) -> Path:
        return self.run / SOCKET_NAME

    @contextmanager
    def locked(self, task: str) -> Iterator[None]:
        """Makes the home folder, and holds the lock of a task on it.

        The system's errors in the body (a full disk, a missing right) become ServerErrors.
        """
        if os.name != "posix":
            raise ServerError(
                "The private MySQL needs Linux or macOS: use a server of yours, --database URL"
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
                f"The private MySQL cannot use {self.home}: {error}; mend that, "
                "or set LOOKALIKE_HOME to another folder"
            ) from error


def make_private(folder: Path) -> None:
    """Makes a folder that only its owner may enter, and checks that its owner is this user."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ServerError(
            f"{folder} does not belong to this user (uid {os.geteuid()}): "
            "run as its owner, or set LOOKALIKE_HOME to another folder"
        )
    if status.st_mode & 0o077:
        folder.chmod(0o700)


def require_space(folder: Path, *, megabytes: int, purpose: str) -> None:
    """Raises a ServerError when the disk of a folder has less space than a purpose needs."""
    free = shutil.disk_usage(folder).free // 2**20
    if free < megabytes:
        raise ServerError(
            f"{purpose} needs {megabytes} MB, and {folder} has {free} MB free: "
            "free some space, or set LOOKALIKE_HOME to a folder on a larger disk"
        )


def remove_leftovers(home: Path, prefix: str) -> None:
    """Removes the working folders of a task that was killed; its lock must be held."""
    for folder in home.glob(f"{prefix}*"):
        shutil.rmtree(folder, ignore_errors=True)
