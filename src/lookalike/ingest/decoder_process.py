"""The child process that decodes images, so that a hostile one takes nothing else down.

It reads a pickle of its `Preprocessing` or None, then paths, each after its length; for each it
writes a header and then the pixels or the reason why there are none. Nothing that it writes is
unpickled.
"""

import os
import pickle
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.errors import ImageError
from lookalike.images import open_image
from lookalike.models import Preprocessing

LENGTH = struct.Struct("<I")
HEADER = struct.Struct("<BqqIII")  # outcome, size, mtime_ns, height, width, bytes that follow
DECODED, DAMAGED, OUT_OF_REACH = range(3)
GRACE_SECONDS = 10
"""How long after its time limit a child whose parent has died ends itself."""


class Answer(NamedTuple):
    """What became of a file; content: its pixels (height, width, 3), or UTF-8 of the reason."""

    outcome: int
    size: int
    mtime_ns: int
    height: int
    width: int
    content: bytes


def decode(path: Path, preprocessing: Preprocessing | None) -> Answer:
    """Decode one file, to the network's input or, without preprocessing, to all its pixels."""
    try:
        status = path.stat()
        # Opened before it is decoded: what the system says then is no fault of the image.
        with path.open("rb"):
            pass
    except OSError as error:
        return Answer(OUT_OF_REACH, 0, 0, 0, 0, (error.strerror or str(error)).encode())
    about = status.st_size, status.st_mtime_ns
    try:
        pixels: npt.NDArray[np.uint8]
        if preprocessing is None:
            pixels = np.asarray(open_image(path))
        else:
            pixels = preprocessing(open_image(path, short_side=preprocessing.short_side))
    except ImageError as error:
        reason = str(error).removeprefix(f"{path}: ")
        return Answer(DAMAGED, *about, 0, 0, reason.encode(errors="backslashreplace"))
    height, width, _ = pixels.shape
    return Answer(DECODED, *about, height, width, pixels.tobytes())


def main() -> None:
    """Answer until standard input ends; the only argument is the time limit in seconds."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    with suppress(OSError):  # where memory runs out, Linux takes this process before its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    limit = int(float(sys.argv[1])) + GRACE_SECONDS
    preprocessing: Preprocessing | None = pickle.load(requests)
    while path := _read_path(requests):
        # Its default action ends the process even inside a decoder that never returns.
        signal.alarm(limit)
        answer = decode(path, preprocessing)
        signal.alarm(0)
        answers.write(HEADER.pack(*answer[:5], len(answer.content)))
        answers.write(answer.content)
        answers.flush()


def _read_path(requests: BinaryIO) -> Path | None:
    length = requests.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    return Path(os.fsdecode(requests.read(*LENGTH.unpack(length))))
