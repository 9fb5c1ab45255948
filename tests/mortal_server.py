"""A MySQL of the tests' own that may be killed, in a short folder, and ended by its pid."""

import os
import signal
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import lookalike
from lookalike import PrivateServer


class MortalServer:
    """A private server, with databases in it."""

    def __init__(self, private: PrivateServer) -> None:
        self._private = private
        self.start()

    @property
    def url(self) -> str:
        return self._private.url

    def new_database(self) -> str:
        """Make an empty database; return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        with lookalike.connect(self.url) as db:
            db.rows(f"CREATE DATABASE {name}")
        return self.url.replace("/lookalike?", f"/{name}?")

    def kill(self) -> None:
        os.kill(self._process.pid, signal.SIGKILL)

    def start(self) -> None:
        self._process = psutil.Process(self._private.start().pid)

    def start_if_killed(self) -> None:
        if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
            self.start()


@contextmanager
def mortal_server(mysqld: Path) -> Iterator[MortalServer]:
    """Run a server on a new data folder with an installed mysqld."""
    with tempfile.TemporaryDirectory(prefix="lk-") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_MYSQLD", str(mysqld))
        private = PrivateServer(Path(home))
        try:
            yield MortalServer(private)
        finally:
            private.stop()
