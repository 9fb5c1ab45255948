"""What passes between the stages of an ingest."""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lookalike.core.vectors import FloatArray
from lookalike.dialects import StoredFile


class Origin(NamedTuple):
    """The row of a stored file, and the path that its bytes have left."""

    row_id: int
    path: str


@dataclass
class NewFile:
    """A file to store, under an image_name.

    has_failed: whether its failure is on record. origin: the row that moves to it, if any.
    """

    name: str
    file: StoredFile
    has_failed: bool
    origin: Origin | None = None


@dataclass(eq=False)
class Content:
    """Files of the same bytes, and the embedding of their image (dim,) when there is one."""

    files: list[NewFile]
    embedding: FloatArray | None = None
    is_reused: bool = False

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the bytes."""
        return self.files[0].file.content_hash


class Touched(NamedTuple):
    """A stored file whose time has changed and whose bytes have not."""

    row_id: int
    file: StoredFile


class InFlight:
    """The contents that are between the scanner and the database, so that none is embedded twice.

    One that is not embedded yet is joined by its copies; from then on they take its embedding.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: dict[bytes, Content] = {}

    def join(self, new: NewFile) -> Content | None:
        """Add a file to the content that it shares; return a content of its own where it cannot."""
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
        """Give a content its embedding, or None where there is none; no file joins it any more."""
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
