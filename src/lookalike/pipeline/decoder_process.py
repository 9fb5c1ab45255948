"""The child process that decodes images, so that a hostile one takes nothing else down.

It reads a pickle of its `Preprocessing` or None and writes that it is ready; then it reads paths
of files, or their bytes, and writes, for each, that it has begun and then what became of it: a
header, and the pixels or the reason why there are none. What it reads comes after its length.
Nothing that it writes is unpickled.
"""

import os
import pickle
import resource
import signal
import struct
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import ImageError
from lookalike.images.decode import MAX_PIXELS, open_file, open_image
from lookalike.models.preprocessing import Preprocessing

LENGTH = struct.Struct("<Q")
PATH, CONTENT = b"P", b"C"  # what a message begins with
HEADER = struct.Struct("<BqqIII")  # outcome, size, mtime_ns, height, width, bytes that follow
DECODED, DAMAGED, OUT_OF_REACH, READY, BEGUN = range(5)

MAX_CONTENT = 3 * MAX_PIXELS
"""How many bytes follow a header at the most."""

MAX_MEMORY = 6 * 2**30
"""Bytes that a child may have; an image of MAX_PIXELS needs up to a half of it."""

GRACE_SECONDS = 2.0
"""How long after its time limit a child whose parent has died ends itself."""

_MAX_REASON = 500
_LABEL = "the file"


class Answer(NamedTuple):
    """What became of a file; content: its pixels (height, width, 3), or UTF-8 of the reason."""

    outcome: int
    size: int = 0
    mtime_ns: int = 0
    height: int = 0
    width: int = 0
    content: bytes | bytearray | memoryview = b""

    @property
    def reason(self) -> str:
        """The content as text."""
        return str(self.content, errors="replace")


def decode(source: Path | bytes, preprocessing: Preprocessing | None) -> Answer:
    """Decode one file, or the bytes of one, to the network's input.

    Without preprocessing, to all its pixels.
    """
    try:
        with _opened(source) as file:
            about = _about(file)
            try:
                pixels = _pixels(file, preprocessing)
            except ImageError as error:
                # Where not all of it can be read, that is no fault of the image.
                file.seek(0)
                while file.read(2**20):
                    pass
                reason = str(error).removeprefix(f"{_LABEL}: ")
                return Answer(DAMAGED, *about, content=_encode(reason))
    except OSError as error:
        return Answer(OUT_OF_REACH, content=_encode(error.strerror or str(error)))
    height, width, _ = pixels.shape
    return Answer(DECODED, *about, height, width, pixels.reshape(-1).data)


def _opened(source: Path | bytes) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else open_file(source)


def _about(file: BinaryIO) -> tuple[int, int]:
    """Return the size, and the time of change in nanoseconds; 0 of bytes."""
    if isinstance(file, BytesIO):
        return file.getbuffer().nbytes, 0
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def _pixels(file: BinaryIO, preprocessing: Preprocessing | None) -> npt.NDArray[np.uint8]:
    """Return the pixels of an open file, shape (height, width, 3). Raises ImageError."""
    try:
        if preprocessing is None:
            return np.ascontiguousarray(open_image(file, name=_LABEL))
        image = open_image(file, name=_LABEL, short_side=preprocessing.short_side)
        return np.ascontiguousarray(preprocessing(image))
    except ImageError:
        raise
    # An image that is too large for what comes after, or is too odd, is a failure like others.
    except Exception as error:
        raise ImageError(f"not preprocessed: {error or type(error).__name__}") from error


def _encode(reason: str) -> bytes:
    return reason[:_MAX_REASON].encode(errors="backslashreplace")


def main() -> None:
    """Answer until standard input ends; the only argument is the time limit in seconds."""
    _keep_apart()
    requests = sys.stdin.buffer
    # Libraries that print something must not speak in its place.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit = float(sys.argv[1]) + GRACE_SECONDS
    try:
        preprocessing: Preprocessing | None = pickle.loads(_read(requests))
    # It may be of a class that is not to be found from here.
    except Exception as error:  # noqa: BLE001
        reason = f"the model's preprocessing cannot be loaded: {error}"
        _write(answers, Answer(DAMAGED, content=_encode(reason)))
        return
    _write(answers, Answer(READY))
    while message := _read(requests):
        # Its default action ends the process even inside a decoder that never returns.
        signal.setitimer(signal.ITIMER_REAL, limit)
        _write(answers, Answer(BEGUN))
        kind, what = message[:1], message[1:]
        answer = decode(what if kind == CONTENT else Path(os.fsdecode(what)), preprocessing)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(answers, answer)


def _keep_apart() -> None:
    """See that nothing that happens in this process is felt outside of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    with suppress(OSError):  # where memory runs out, Linux takes this process before its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, value in ((resource.RLIMIT_DATA, MAX_MEMORY), (resource.RLIMIT_CORE, 0)):
        soft, hard = resource.getrlimit(limit)
        if soft == resource.RLIM_INFINITY or soft > value:
            resource.setrlimit(limit, (value, hard))


def _read(requests: BinaryIO) -> bytes:
    """Return the next message, empty at the end."""
    length = requests.read(LENGTH.size)
    return requests.read(*LENGTH.unpack(length)) if len(length) == LENGTH.size else b""


def _write(answers: BinaryIO, answer: Answer) -> None:
    answers.write(HEADER.pack(*answer[:5], len(answer.content)))
    answers.write(answer.content)
    answers.flush()
