"""Start the process that drives Ray, talk to it, and end it with all that it has started."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from typing import Any, Final

from lookalike.core.errors import LookalikeError
from lookalike.pipeline.decoder import import_path
from lookalike.pipeline.ray import driver
from lookalike.pipeline.ray.driver import DriverOptions, End, Notice, Row, Window

_LOOK_SECONDS: Final = 0.1
_GRACE_SECONDS: Final = 5.0
_PROGRAM: Final = f"from {driver.__name__} import main; main()"


class RayDriver:
    """A child process that drives Ray; close it to end all that it has started.

    check: called ten times a second while the process works; it may raise. notify: called with one
    line of news. Raises LookalikeError when the process cannot be started.
    """

    def __init__(
        self,
        make_options: Callable[[str], DriverOptions],
        *,
        check: Callable[[], None],
        notify: Callable[[str], None],
    ) -> None:
        self._check = check
        self._notify = notify
        self._folder = tempfile.mkdtemp(prefix="lookalike-ray-")
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            options = make_options(self._folder)
            self._process, self._connection = _spawn(self._log.fileno())
        except BaseException:
            self._clean()
            raise
        self._send(options)

    def embed(self, window: Window) -> Iterator[list[Row]]:
        """Yield the files of a window as they come back; return why some may be missing.

        Raises LookalikeError if no more will come, and what `check` raises.
        """
        self._send(window)
        while not isinstance(message := self._receive(), End):
            if isinstance(message, Notice):
                self._notify(message.text)
            else:
                yield message
        if message.failed:
            raise LookalikeError(message.failed)
        self.lost = message.lost

    lost = ""
    """Why files of the last window may be missing."""

    def close(self) -> None:
        """End the process and all that it has started."""
        self._connection.close()  # the process notices
        try:
            self._process.wait(driver.SHUTDOWN_SECONDS + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._process.kill()
            self._process.wait()
            self._clean()

    def _clean(self) -> None:
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _send(self, message: Any) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):  # receiving tells why
            self._connection.send(message)

    def _receive(self) -> Any:
        while not self._connection.poll(_LOOK_SECONDS):
            self._check()
        try:
            return self._connection.recv()
        except (EOFError, OSError) as error:
            status = self._process.wait()
            raise LookalikeError(
                f"the process that drives Ray has ended (status {status}){self._last_words()}"
            ) from error

    def _last_words(self) -> str:
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""


def _spawn(log: int) -> tuple[subprocess.Popen[bytes], Connection]:
    """Start the process and return it, with the connection to it."""
    ours, theirs = Pipe()
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
                start_new_session=True,  # Ctrl-C is for this process, which ends that in order
            )
    except OSError as error:
        ours.close()
        raise LookalikeError(f"cannot start Ray: {error.strerror or error}") from error
    return process, ours
