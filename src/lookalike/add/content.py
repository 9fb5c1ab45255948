"""Values that pass between the stages of an ingest."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lookalike.core.vectors import FloatArray
from lookalike.dialects import StoredFile


class Origin(NamedTuple):
    """The row of a moved file, and the path where the file was."""

    row_id: int
    path: str


@dataclass
class NewFile:
    """A file to store as image_name `name`.

    has_failed: whether a failure is on record. origin: the row that moves to this file, if any.
    """

    name: str
    file: StoredFile
    has_failed: bool
    origin: Origin | None = None


@dataclass(eq=False)
class Content:
    """Files with the same bytes, and their image's embedding (dim,), once known."""

    files: list[NewFile]
    embedding: FloatArray | None = None
    is_reused: bool = False

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the bytes."""
        return self.files[0].file.content_hash


class Touched(NamedTuple):
    """A stored file whose modification time changed but not its bytes."""

    row_id: int
    file: StoredFile


class InFlight:
    """Contents between scanner and database, tracked so that none is embedded twice.

    Copies join a content until it is embedded; later copies reuse its embedding.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[bytes, Content] = {}

    def join(self, new: NewFile) -> Content | None:
        """Add a file to a content in flight; return a new content if it cannot join one."""
        digest = new.file.content_hash
        with self._lock:
            content = self._contents.get(digest)
            if content is None:
                content = self._contents[digest] = Content([new])
                return content
            if content.embedding is not None:
                return Content([new], content.embedding, is_reused=True)
            content.files.append(new)
            return None

    def land(self, content: Content, embedding: FloatArray | None) -> None:
        """Set a content's embedding, or None if it failed; no more files can join it."""
        with self._lock:
            content.embedding = embedding
        if embedding is None:
            self.forget([content])

    def forget(self, contents: Iterable[Content]) -> None:
        """Drop committed or failed contents."""
        with self._lock:
            for content in contents:
                if self._contents.get(content.digest) is content:
                    del self._contents[content.digest]
