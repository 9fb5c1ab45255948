"""Image files to pixels, in a child process that is replaced when it crashes or hangs."""

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.errors import ImageError
from lookalike.ingest import decoder_process as child
from lookalike.models import Preprocessing


_PIPE_BYTES = 1 << 20
"""An image's pixels pass through at once, where the system lets a pipe hold as many."""


class Decoded(NamedTuple):
    """pixels: (height, width, 3), uint8; size in bytes and mtime_ns: of the file as it was read."""

    pixels: npt.NDArray[np.uint8]
    size: int
    mtime_ns: int


class OutOfReach(ImageError):
    """A file that could not be opened; its image may be sound."""


class Decoder:
    """Decodes one file at a time in a child process, started when it is first needed.

    preprocessing: called once a child is starting; its pixels are what `decode` returns, and all
    of the image's where it is None. time_limit: for each file, in seconds.
    """

    def __init__(
        self, preprocessing: Callable[[], Preprocessing | None], *, time_limit: float
    ) -> None:
        self._preprocessing = preprocessing
        self._time_limit = time_limit
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, path: Path) -> Decoded:
        """Decode one file. Raises ImageError, OutOfReach where it could not be opened."""
        process = self._process or self._start()
        encoded = os.fsencode(path)
        assert process.stdin is not None
        try:
            process.stdin.write(child.LENGTH.pack(len(encoded)) + encoded)
            process.stdin.flush()
            answer = self._receive(process)
        except (OSError, EOFError) as error:
            status = self.close()
            raise ImageError(f"its decoder crashed ({_signal(status)})") from error
        except TimeoutError as error:
            self.close()
            raise ImageError(f"not decoded within {self._time_limit:g} seconds") from error
        if answer.outcome == child.OUT_OF_REACH:
            raise OutOfReach(answer.content.decode(errors="replace"))
        if answer.outcome == child.DAMAGED:
            raise ImageError(answer.content.decode(errors="replace"))
        pixels = np.frombuffer(answer.content, np.uint8)
        return Decoded(pixels.reshape(answer.height, answer.width, 3), answer.size, answer.mtime_ns)

    def kill(self) -> None:
        """End what the child process is doing; for another thread than the one that decodes."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> int | None:
        """End the child process, and return its exit status; the next file starts another."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        with process:  # closes its pipes and waits for it
            return process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        # Not by multiprocessing, which would import the caller's main module again; and with -P,
        # since a module in the current folder is none of ours.
        program = f"from {child.__name__} import main; main()"
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", program, str(self._time_limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pipesize=_PIPE_BYTES,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert process.stdin is not None
        pickle.dump(self._preprocessing(), process.stdin)
        process.stdin.flush()
        return process

    def _receive(self, process: subprocess.Popen[bytes]) -> child.Answer:
        deadline = time.monotonic() + self._time_limit
        header = self._read(process, child.HEADER.size, deadline)
        outcome, size, mtime_ns, height, width, length = child.HEADER.unpack(header)
        content = self._read(process, length, deadline)
        return child.Answer(outcome, size, mtime_ns, height, width, content)

    def _read(self, process: subprocess.Popen[bytes], size: int, deadline: float) -> bytes:
        assert process.stdout is not None
        output = process.stdout.fileno()
        content = bytearray()
        while len(content) < size:
            if not wait([output], max(0.0, deadline - time.monotonic())):
                raise TimeoutError
            part = os.read(output, size - len(content))
            if not part:
                raise EOFError
            content += part
        return bytes(content)


def _signal(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"
