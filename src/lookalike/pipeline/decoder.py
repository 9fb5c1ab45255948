"""Decode image files in a child process, which is replaced if it crashes or hangs."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import ImageError, InputError, LookalikeError
from lookalike.core.facts import FACTS, LOCATION, MAX_FACT, MAX_NUMBER, FactValue
from lookalike.core.remote import RemotePath
from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline import decoder_process as child

START_SECONDS = 120.0
"""How long a child process may take to start."""

_STARTS = 3
_LONGEST_SECONDS = 1e6


class Decoded(NamedTuple):
    """A decoded file.

    pixels: (height, width, 3), uint8. size, mtime_ns: of the file when it was read, in bytes and
    nanoseconds.
    """

    pixels: npt.NDArray[np.uint8]
    size: int
    mtime_ns: int


class Told(NamedTuple):
    """A file's facts; size, mtime_ns: of the file when it was read, in bytes and nanoseconds."""

    facts: dict[str, FactValue]
    size: int
    mtime_ns: int


class OutOfReach(ImageError):
    """A file that could not be opened or read; the image itself may be intact."""


class Decoder:
    """Decodes one file at a time in a child process that is started on first use.

    preprocessing: called when a child starts; `decode` returns what it makes of an image, or all
    pixels if it returns None. time_limit: per file, in seconds. Raises InputError unless time_limit
    is positive.
    """

    def __init__(
        self, preprocessing: Callable[[], Preprocessing | None], *, time_limit: float
    ) -> None:
        if not time_limit > 0:
            raise InputError(f"a time limit of {time_limit:g} seconds is not above zero")
        self._preprocessing = preprocessing
        self._time_limit = min(time_limit, _LONGEST_SECONDS)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ended = False

    def decode(self, source: Path | bytes) -> Decoded:
        """Decode one file, given as path or bytes; the mtime_ns of bytes is 0.

        Raises ImageError, or OutOfReach if the file could not be opened or read, and LookalikeError
        if no child process can be started.
        """
        kind = child.CONTENT if isinstance(source, bytes) else child.PATH
        return _decoded(self._ask(kind, source, child.DECODED))

    def view(self, source: Path | bytes, options: child.View) -> Decoded:
        """Decode one file to all its pixels, or as many as fit; raises as `decode`."""
        asked = child.VIEW + child.VIEW_OPTIONS.pack(*options)
        return _decoded(self._ask(asked, source, child.DECODED))

    def facts(self, path: Path) -> Told:
        """Return what a file's header tells, without decoding its pixels. Raises as `decode`."""
        answer = self._ask(child.FACTS, path, child.TOLD)
        return Told(_checked(bytes(answer.content)), answer.size, answer.mtime_ns)

    def _ask(self, asked: bytes, source: Path | bytes, wanted: int) -> child.Answer:
        if isinstance(source, RemotePath):  # the time limit is not for fetching it
            return self._ask_of_copy(asked, source, wanted)
        try:
            process, deadline = self._begin(asked, source)
            answer = self._receive(process, deadline, wanted, child.DAMAGED, child.OUT_OF_REACH)
        except TimeoutError as error:
            self.close()
            raise ImageError(self._too_slow) from error
        except (OSError, EOFError) as error:
            raise ImageError(self._reason(self.close())) from error
        if answer.outcome == child.OUT_OF_REACH:
            raise OutOfReach(answer.reason)
        if answer.outcome == child.DAMAGED:
            raise ImageError(answer.reason)
        return answer

    def _ask_of_copy(self, asked: bytes, source: RemotePath, wanted: int) -> child.Answer:
        try:
            with source.fetched() as copy:
                return self._ask(asked, copy, wanted)
        except OSError as error:
            raise OutOfReach(error.strerror or str(error)) from error

    def kill(self) -> None:
        """End the child process and start no other; called from another thread than `decode`."""
        self._is_ended = True
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> int | None:
        """End the child process and return its exit status; the next file starts another."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        with suppress(BrokenPipeError), process:  # closes its pipes and waits for its end
            pass
        return process.returncode

    def _begin(self, asked: bytes, source: Path | bytes) -> tuple[subprocess.Popen[bytes], float]:
        """Send a file to a child process; return the process and the file's deadline.

        If the child died since its last file, it is replaced: the new file is not the cause.
        """
        if self._process is not None:
            with suppress(BrokenPipeError, EOFError):
                return self._process, self._hand_over(self._process, asked, source)
            self.close()
        process = self._start()
        return process, self._hand_over(process, asked, source)

    def _hand_over(
        self, process: subprocess.Popen[bytes], asked: bytes, source: Path | bytes
    ) -> float:
        deadline = time.monotonic() + self._time_limit
        self._send(process, asked, source if isinstance(source, bytes) else os.fsencode(source))
        self._receive(process, deadline, child.BEGUN)
        return deadline

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a child process; retry a few times if it is killed meanwhile."""
        ending = ""
        for _ in range(_STARTS):
            process = self._process = _spawn(self._time_limit)
            if self._is_ended:
                process.kill()
            preprocessing = self._preprocessing()
            try:
                self._send(process, pickle.dumps(preprocessing))
                deadline = time.monotonic() + START_SECONDS
                answer = self._receive(process, deadline, child.READY, child.DAMAGED)
            except TimeoutError as error:
                self.close()
                raise _no_start(f"it is not ready after {START_SECONDS:g} seconds") from error
            except (OSError, EOFError):
                status = self.close()
                ending = _ending(status)
                if status is None or status >= 0 or self._is_ended:
                    break
            else:
                if answer.outcome == child.READY:
                    return process
                self.close()
                raise _no_start(answer.reason)
        raise _no_start(ending)

    def _send(self, process: subprocess.Popen[bytes], *parts: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(child.LENGTH.pack(sum(map(len, parts))))
        process.stdin.writelines(parts)
        process.stdin.flush()

    def _receive(
        self, process: subprocess.Popen[bytes], deadline: float, *outcomes: int
    ) -> child.Answer:
        """Read an answer without trusting it. Raises EOFError, TimeoutError and OSError."""
        header = child.HEADER.unpack(self._read(process, child.HEADER.size, deadline))
        outcome, size, mtime_ns, height, width, length = header
        expected = 3 * height * width if outcome == child.DECODED else length
        if outcome not in outcomes or not length == expected <= child.MAX_CONTENT:
            raise EOFError("it sent an invalid answer")
        content = self._read(process, length, deadline)
        return child.Answer(outcome, size, mtime_ns, height, width, content)

    def _read(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytearray:
        assert process.stdout is not None
        output = process.stdout.fileno()
        content, there = bytearray(size), 0
        while there < size:
            if not wait([output], max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            count = os.readv(output, [memoryview(content)[there:]])
            if not count:
                raise EOFError
            there += count
        return content

    def _reason(self, status: int | None) -> str:
        # The child's own alarm came first: this process was delayed.
        if status == -signal.SIGALRM:
            return self._too_slow
        return f"its decoder crashed ({_ending(status)})"

    @property
    def _too_slow(self) -> str:
        return f"not decoded within {self._time_limit:g} seconds"


def _decoded(answer: child.Answer) -> Decoded:
    pixels = np.frombuffer(answer.content, np.uint8)
    return Decoded(pixels.reshape(answer.height, answer.width, 3), answer.size, answer.mtime_ns)


def _checked(content: bytes) -> dict[str, FactValue]:
    """Read facts without trusting them: those whose name and kind are known."""
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    known = (*FACTS, *LOCATION)
    return {
        name: value[:MAX_FACT] if isinstance(value, str) else value
        for name, value in (found.items() if isinstance(found, dict) else ())
        if name in known and isinstance(value, FactValue) and _is_sound(value)
    }


def _is_sound(value: FactValue) -> bool:
    if isinstance(value, str):
        return value.isprintable()
    return not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def _spawn(time_limit: float) -> subprocess.Popen[bytes]:
    # multiprocessing would import the caller's main module again.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        f"from {child.__name__} import main; main()"
    )
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(time_limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(import_path())},
        )
    except OSError as error:
        raise _no_start(error.strerror or str(error)) from error


def _ending(status: int | None) -> str:
    """Describe how a process ended."""
    if status is None or status >= 0:
        return f"status {status}"
    if -status == signal.SIGKILL:
        return "SIGKILL: killed, perhaps because memory ran out"
    name = signal.Signals(-status).name if -status in list(signal.Signals) else f"signal {-status}"
    return f"{name}: {signal.strsignal(-status)}"


def _no_start(reason: str) -> LookalikeError:
    return LookalikeError(f"cannot start a process for decoding images: {reason}")


def import_path() -> list[str]:
    """Return a child process's import path: this process's, without the current folder.

    The current folder holds the user's files, perhaps a struct.py. It is kept only if it contains
    lookalike itself.
    """
    keeps_all = _is_here(Path(child.__file__).parents[2])
    return [entry for entry in sys.path if keeps_all or not _is_here(Path(entry))]


def _is_here(folder: Path) -> bool:
    try:
        return folder.samefile(os.curdir)
    except OSError:
        return False
