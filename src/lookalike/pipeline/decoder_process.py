"""The child process that decodes images, so that a malicious image harms nothing else.

It reads a pickled `Preprocessing` or None and answers that it is ready. Then it reads what to do
with a file, and the file's path or bytes; for each, it answers that it has begun, and later with a
header and the pixels, the facts in JSON, or the error. Everything it reads is preceded by its
length. Nothing that it writes is unpickled.
"""

import json
import os
import pickle
import resource
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.images.decode import MAX_PIXELS, explaining, open_file, open_image
from lookalike.images.facts import read_facts
from lookalike.images.raw import NeedsExtra
from lookalike.models.preprocessing import Preprocessing

LENGTH = struct.Struct("<Q")
PATH, CONTENT, FACTS, VIEW = b"P", b"C", b"F", b"V"  # first byte of a message: what it asks for
VIEW_OPTIONS = struct.Struct("<?IIII")  # the fields of View
HEADER = struct.Struct("<BqqIII")  # outcome, size, mtime_ns, height, width, length of content
DECODED, DAMAGED, OUT_OF_REACH, READY, BEGUN, TOLD = range(6)

MAX_CONTENT = 3 * MAX_PIXELS
"""Maximum number of bytes after a header."""

MAX_MEMORY = 6 * 2**30
"""Memory limit of a child in bytes; an image of MAX_PIXELS needs up to half of it."""

GRACE_SECONDS = 2.0
"""A child whose parent has died ends itself this long after its time limit."""

_MAX_REASON = 500
_LABEL = "the file"


class View(NamedTuple):
    """How to decode an image that is to be looked at.

    is_content: whether the source is the file's bytes. short_side, max_pixels: as in `open_image`;
    0 is none. width, height: what it is scaled down to fit in; 0 is as it is.
    """

    is_content: bool
    short_side: int
    width: int
    height: int
    max_pixels: int


class Answer(NamedTuple):
    """Result of decoding a file.

    content: its pixels (height, width, 3), its facts in JSON, or the error in UTF-8.
    """

    outcome: int
    size: int = 0
    mtime_ns: int = 0
    height: int = 0
    width: int = 0
    content: bytes | bytearray | memoryview = b""

    @property
    def reason(self) -> str:
        """Return the content as text."""
        return str(self.content, errors="replace")


def decode(source: Path | bytes, preprocessing: Preprocessing | None) -> Answer:
    """Decode one file or its bytes to the network's input; without preprocessing, to all pixels."""

    def work(file: BinaryIO, size: int, mtime_ns: int) -> Answer:
        pixels = _pixels(file, preprocessing)
        height, width, _ = pixels.shape
        return Answer(DECODED, size, mtime_ns, height, width, pixels.reshape(-1).data)

    return _answer(source, work)


def view(source: Path | bytes, options: View) -> Answer:
    """Decode one file or its bytes to upright pixels that fit in a rectangle."""

    def work(file: BinaryIO, size: int, mtime_ns: int) -> Answer:
        pixels = _fitted(file, options)
        height, width, _ = pixels.shape
        return Answer(DECODED, size, mtime_ns, height, width, pixels.reshape(-1).data)

    return _answer(source, work)


def tell(source: Path | bytes) -> Answer:
    """Return what a file's header tells, as JSON."""

    def work(file: BinaryIO, size: int, mtime_ns: int) -> Answer:
        facts = json.dumps(read_facts(file, name=_LABEL))
        return Answer(TOLD, size, mtime_ns, content=facts.encode())

    return _answer(source, work)


def _answer(source: Path | bytes, work: Callable[[BinaryIO, int, int], Answer]) -> Answer:
    """Return what the work on an open file, its size and mtime_ns answers, or the error."""
    try:
        with _opened(source) as file:
            about = _about(file)
            try:
                return work(file, *about)
            except NeedsExtra as error:  # tried again when it may be there
                return Answer(OUT_OF_REACH, content=_encode(_bare(error)))
            except ImageError as error:
                # If the file cannot be read to its end, the image is not at fault.
                file.seek(0)
                while file.read(2**20):
                    pass
                return Answer(DAMAGED, *about, content=_encode(_bare(error)))
    except OSError as error:
        return Answer(OUT_OF_REACH, content=_encode(error.strerror or str(error)))


def _opened(source: Path | bytes) -> BinaryIO:
    return BytesIO(source) if isinstance(source, bytes) else open_file(source)


def _about(file: BinaryIO) -> tuple[int, int]:
    """Return size in bytes and mtime_ns; mtime_ns is 0 for bytes."""
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
    # An image that preprocessing cannot handle, such as a too large one, is an ordinary failure.
    except Exception as error:
        raise ImageError(f"not preprocessed: {error or type(error).__name__}") from error


def _fitted(file: BinaryIO, options: View) -> npt.NDArray[np.uint8]:
    """Return the pixels of an open file, shape (height, width, 3). Raises ImageError."""
    box = (options.width, options.height) if options.width else None
    # The short side of what fits in the box is at most the short side of the box.
    short_side = options.short_side or (min(box) if box else None)
    image = open_image(file, name=_LABEL, short_side=short_side, max_pixels=options.max_pixels)
    if box:
        with explaining(_LABEL):
            image.thumbnail(box, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.ascontiguousarray(image)


def _bare(error: ImageError) -> str:
    """Return an error without the name of the file."""
    return str(error).removeprefix(f"{_LABEL}: ")


def _encode(reason: str) -> bytes:
    return reason[:_MAX_REASON].encode(errors="backslashreplace")


def main() -> None:
    """Answer requests until standard input ends; the argument is the time limit in seconds."""
    _keep_apart()
    requests = sys.stdin.buffer
    # Output that libraries print must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    limit = float(sys.argv[1]) + GRACE_SECONDS
    try:
        preprocessing: Preprocessing | None = pickle.loads(_read(requests))
    # Its class may not be importable in this process.
    except Exception as error:  # noqa: BLE001
        reason = f"the model's preprocessing cannot be loaded: {error}"
        _write(answers, Answer(DAMAGED, content=_encode(reason)))
        return
    _write(answers, Answer(READY))
    while message := _read(requests):
        # Its default action ends the process even inside a decoder that hangs.
        signal.setitimer(signal.ITIMER_REAL, limit)
        _write(answers, Answer(BEGUN))
        answer = _answer_to(message, preprocessing)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _write(answers, answer)


def _answer_to(message: bytes, preprocessing: Preprocessing | None) -> Answer:
    kind, what = message[:1], message[1:]
    if kind == CONTENT:
        return decode(what, preprocessing)
    if kind == VIEW:
        options = View(*VIEW_OPTIONS.unpack_from(what))
        what = what[VIEW_OPTIONS.size :]
        return view(what if options.is_content else _path(what), options)
    return tell(_path(what)) if kind == FACTS else decode(_path(what), preprocessing)


def _path(name: bytes) -> Path:
    return Path(os.fsdecode(name))


def _keep_apart() -> None:
    """Isolate this process from the rest of the system."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
    with suppress(OSError):  # if memory runs out, Linux kills this process before its parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, value in ((resource.RLIMIT_DATA, MAX_MEMORY), (resource.RLIMIT_CORE, 0)):
        soft, hard = resource.getrlimit(limit)
        if soft == resource.RLIM_INFINITY or soft > value:
            resource.setrlimit(limit, (value, hard))


def _read(requests: BinaryIO) -> bytes:
    """Return the next message; empty at the end."""
    length = requests.read(LENGTH.size)
    return requests.read(*LENGTH.unpack(length)) if len(length) == LENGTH.size else b""


def _write(answers: BinaryIO, answer: Answer) -> None:
    answers.write(HEADER.pack(*answer[:5], len(answer.content)))
    answers.write(answer.content)
    answers.flush()
