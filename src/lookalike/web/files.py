"""Files of stored images over HTTP: with their true type, by range, never run by a browser."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import quote

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lookalike import Collection
from lookalike.core.remote import RemotePath
from lookalike.web.media_types import HEAD_BYTES, MediaType, media_type
from lookalike.web.problems import Problem

_PART_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
SAFETY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer whose bytes are not our own."""


def path_of(collection: Collection, row_id: int) -> Path:
    """Return the file of a stored image. Raises Problem 404 if there is none."""
    records = collection.records([row_id])
    if not records:
        raise Problem(404, f"there is no image {row_id} in {collection.name}")
    if records[0].path is None:
        raise Problem(404, f"only the embedding of image {row_id} is stored, not its file")
    return records[0].path


@dataclass(frozen=True)
class OpenedFile:
    """An image file that is open for reading.

    Attributes:
        path: Where it is.
        opened: The open file; `close` it.
        size: In bytes.
        mtime_ns: When it was modified, in nanoseconds.
        kind: What it is, by its bytes.
    """

    path: Path
    opened: BinaryIO
    size: int
    mtime_ns: int
    kind: MediaType

    @property
    def etag(self) -> str:
        """The strong entity tag."""
        return f'"{self.mtime_ns:x}-{self.size:x}"'

    def read(self, start: int, length: int) -> bytes:
        """Return bytes from a place on; fewer at the end."""
        return os.pread(self.opened.fileno(), length, start)

    def close(self) -> None:
        """Close the file."""
        self.opened.close()


def open_image(path: Path) -> OpenedFile:
    """Open an image file.

    Raises:
        Problem: 404: it is gone, or is no image any more.
    """
    try:
        opened = path.open_fetched() if isinstance(path, RemotePath) else _opened(path)
    except (OSError, ValueError) as error:
        raise _gone(path, error) from error
    try:
        status = os.fstat(opened.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        kind = media_type(os.pread(opened.fileno(), HEAD_BYTES, 0))
        if kind is None:
            raise Problem(404, f"{path.name}: the file is no longer an image")
        return OpenedFile(path, opened, status.st_size, status.st_mtime_ns, kind)
    except OSError as error:
        opened.close()
        raise _gone(path, error) from error
    except BaseException:
        opened.close()
        raise


def _opened(path: Path) -> BinaryIO:
    # Without O_NONBLOCK, opening a pipe would block until something writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return cast(BinaryIO, os.fdopen(descriptor, "rb", buffering=0))


def _gone(path: Path, error: Exception) -> Problem:
    return Problem(404, f"{path.name}: {getattr(error, 'strerror', None) or error}")


class FileResponse(Response):
    """Answers with an open file, or a range of it, and closes it.

    Args:
        file: The file.
        headers: Headers of the request.
        download: Offer to save it, also if browsers show it.
        is_head: Send the headers alone.
    """

    def __init__(
        self,
        file: OpenedFile,
        headers: Mapping[str, str],
        *,
        download: bool = False,
        is_head: bool = False,
    ) -> None:
        self._file = file
        self._start, self._length = 0, file.size
        status = 200
        modified = formatdate(file.mtime_ns / 1e9, usegmt=True)
        if is_unchanged(headers, file.etag, modified):
            status, self._length = 304, 0
        elif (wanted := _wanted_range(headers, file, modified)) is not None:
            start, end = wanted
            status = 206 if start < end else 416
            self._start, self._length = start, max(end - start, 0)
        super().__init__(status_code=status, headers=self._headers_of(status, modified, download))
        if is_head:
            self._length = 0

    def _headers_of(self, status: int, modified: str, download: bool) -> dict[str, str]:
        file = self._file
        headers = {
            **SAFETY_HEADERS,
            "ETag": file.etag,
            "Last-Modified": modified,
            "Cache-Control": "private, no-cache",
            "Accept-Ranges": "bytes",
        }
        if status == 304:
            return headers
        if status == 416:
            return {**headers, "Content-Range": f"bytes */{file.size}", "Content-Length": "0"}
        headers["Content-Type"] = file.kind.name
        headers["Content-Length"] = str(self._length)
        attach = download or not file.kind.is_shown
        headers["Content-Disposition"] = disposition(file.path.name, file.kind, attach=attach)
        if status == 206:
            last = self._start + self._length - 1
            headers["Content-Range"] = f"bytes {self._start}-{last}/{file.size}"
        return headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file in parts, read in a thread."""
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
            )
            place, end = self._start, self._start + self._length
            while place < end:
                read = partial(self._file.read, place, min(_PART_BYTES, end - place))
                part = await to_thread.run_sync(read)
                if not part:  # it was cut short meanwhile
                    break
                place += len(part)
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._file.close()


def is_unchanged(headers: Mapping[str, str], etag: str, modified: str = "") -> bool:
    """Whether the client has the same content already."""
    known = headers.get("if-none-match")
    if known is not None:
        tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
        return etag in tags or "*" in tags
    since = headers.get("if-modified-since")
    return bool(modified) and since is not None and _is_not_before(since, modified)


def _is_not_before(time: str, other: str) -> bool:
    try:
        return parsedate_to_datetime(time) >= parsedate_to_datetime(other)
    except (TypeError, ValueError):
        return False


def _wanted_range(
    headers: Mapping[str, str], file: OpenedFile, modified: str
) -> tuple[int, int] | None:
    """Return (start, end) of the wanted bytes; None for all. Where start is not less: none.

    Several ranges at once are answered by the whole file, as RFC 9110 allows.
    """
    found = _RANGE.fullmatch(headers.get("range", ""))
    if not found or not (found[1] or found[2]):
        return None
    condition = headers.get("if-range")
    if condition is not None and condition not in (file.etag, modified):
        return None
    if not found[1]:
        length = int(found[2])
        return (max(file.size - length, 0), file.size) if length else (file.size, file.size)
    start, end = int(found[1]), file.size
    if found[2]:
        if int(found[2]) < start:  # not a range: RFC 9110 14.1.1
            return None
        end = min(int(found[2]) + 1, file.size)
    return start, end


def disposition(name: str, kind: MediaType, *, attach: bool) -> str:
    """Return the header Content-Disposition (RFC 6266) for a file of any name.

    A name that does not end as such files do gets the right ending: a saved file must not open as
    something else, such as a page.
    """
    text = os.fsencode(name).decode(errors="replace").strip()
    clean = "".join(char if char.isprintable() and char not in '/\\"' else "_" for char in text)
    if not clean.lower().endswith(kind.suffixes):
        clean += kind.suffixes[0]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", clean)
    how = "attachment" if attach else "inline"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"
