"""Standard output and error; a failed write ends the command with one line."""

import contextlib
import errno
import io
import os
import sys
from typing import TextIO

_NAMES = {1: "standard output", 2: "standard error"}


class OutputLost(Exception):
    """Standard output or error cannot be written: a closed pipe, a full disk."""

    def __init__(self, descriptor: int, error: OSError) -> None:
        super().__init__(
            f"{_NAMES[descriptor]} cannot be written: {error.strerror}; "
            "free some space there, or write it to another place"
        )
        self._descriptor = descriptor
        self._is_closed_pipe = error.errno == errno.EPIPE

    def tell(self) -> None:
        """Report the error unless the reader closed the pipe, and stop writing to the stream."""
        if self._descriptor == 1 and not self._is_closed_pipe:
            with contextlib.suppress(OSError):
                os.write(2, f"Error: {self}\n".encode())
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._descriptor)
        os.close(nowhere)


class _Raw(io.RawIOBase):
    """The bytes of a stream; failed writes raise OutputLost instead of OSError."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: "bytes | bytearray | memoryview", /) -> int:  # type: ignore[override]
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            raise OutputLost(self._descriptor, error) from None


def guard_streams() -> None:
    """Make both streams raise OutputLost."""
    if sys.stdout is not None:
        sys.stdout = _guarded(sys.stdout, 1)
    if sys.stderr is not None:
        sys.stderr = _guarded(sys.stderr, 2)


def _guarded(stream: TextIO, descriptor: int) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(descriptor)),  # type: ignore[type-var]
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=descriptor == 2 or os.isatty(descriptor),
    )
