"""The folder of images that came over HTTP: whole files only, none overwritten.

`uploads/COLLECTION/3f/cat.jpg`, where 3f are the first digits of the content's SHA-256: folders
stay small, and the same image under the same name is the same file. What is being stored is noted
in `uploads/COLLECTION/.incoming`, a folder for each server, so that the next one finishes what a
killed one began.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lookalike.web.media_types import HEAD_BYTES, media_type
from lookalike.web.uploads import Upload

_INCOMING = ".incoming"
_LOCK = "lock"
_PART = ".part"
_MOST_BYTES = 120
_NOTE = re.compile(r"([0-9a-f]{64})-(.+)", re.DOTALL)
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Kept:
    """An image in the folder.

    Attributes:
        path: Its file.
        note: Says that it is not known yet whether the file has a row; `forget` it then.
    """

    path: Path
    note: Path

    def forget(self) -> None:
        """Note that the file has its row."""
        self.note.unlink(missing_ok=True)

    def drop(self) -> None:
        """Delete the file, which has no row."""
        self.path.unlink(missing_ok=True)
        self.forget()


class UploadFolder:
    """Where the uploads of one collection are kept; threads may share it.

    Args:
        folder: The folder of all uploads.
        collection: Name of the collection.
    """

    def __init__(self, folder: Path, collection: str) -> None:
        self.folder = folder.resolve() / collection
        self._own, self._lock = self._new_session()

    def keep(self, upload: Upload) -> Kept:
        """Write an image to the folder, whole, and return its file."""
        part = self._own / f"{secrets.token_hex(8)}{_PART}"
        name = clean_name(upload)
        try:
            _write(part, upload.content)
            note = self._own / f"{upload.content_hash}-{name}"
            note.touch(mode=0o600)
            path = _place(part, self._places(upload.content_hash, name), upload.content_hash)
        finally:
            part.unlink(missing_ok=True)
        return Kept(path, note)

    def sync(self, kept: Sequence[Kept]) -> None:
        """Make sure that the names of files outlast a loss of power."""
        for folder in {each.path.parent for each in kept}:
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def left(self) -> Iterator[list[Kept]]:
        """Yield the images that each server left that was killed; delete what it had half written.

        A note that is not forgotten is yielded again by the next server. Those of servers that run
        are not touched.
        """
        for session in self._dead():
            kept = [each for entry in session.iterdir() if (each := self._noted(entry))]
            yield kept
            if not any(each.note.exists() for each in kept):
                shutil.rmtree(session, ignore_errors=True)

    def close(self) -> None:
        """End the use of the folder; call it when nothing is being kept any more."""
        self._lock.release()
        if all(entry.name == _LOCK for entry in self._own.iterdir()):
            shutil.rmtree(self._own, ignore_errors=True)

    def _new_session(self) -> tuple[Path, FileLock]:
        """Make and lock a folder for the notes of this server."""
        while True:
            session = self.folder / _INCOMING / secrets.token_hex(8)
            session.mkdir(parents=True, mode=0o700)
            lock = FileLock(session / _LOCK, mode=0o600, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except (Timeout, OSError):  # another server took it for a dead one's
                continue
            if (session / _LOCK).exists():
                return session, lock
            lock.release()

    def _noted(self, entry: Path) -> Kept | None:
        """Return the image of a note of a dead server; delete what is half written."""
        noted = _NOTE.fullmatch(entry.name)
        if noted is None:
            if entry.suffix == _PART:
                entry.unlink(missing_ok=True)
            return None
        for path in self._places(noted[1], noted[2]):
            if _has_content(path, noted[1]):
                return Kept(path, entry)
            if _is_empty(path):  # its name was only reserved
                path.unlink(missing_ok=True)
        entry.unlink(missing_ok=True)
        return None

    def _places(self, content_hash: str, name: str) -> list[Path]:
        """Return where an image of this name may be, the usual place first."""
        folder = self.folder / content_hash[:2]
        stem, suffix = os.path.splitext(name)  # noqa: PTH122
        return [folder / name, folder / f"{stem}-{content_hash[:16]}{suffix}"]

    def _dead(self) -> Iterator[Path]:
        """Yield the folders of servers that do not run any more, each while it is locked."""
        for session in sorted((self.folder / _INCOMING).iterdir()):
            if session == self._own:
                continue
            lock = FileLock(session / _LOCK, mode=0o600, thread_local=False)
            try:
                lock.acquire(blocking=False)
            except (Timeout, OSError):
                continue
            try:
                yield session
            finally:
                lock.release()


def upload_folders(folder: Path) -> list[str]:
    """Return the names of the collections that have uploads."""
    if not folder.is_dir():
        return []
    return sorted(each.name for each in folder.iterdir() if (each / _INCOMING).is_dir())


def clean_name(upload: Upload) -> str:
    """Return a name for the file of an upload: a hint of the client's, with a true suffix.

    It has no folder, does not begin with a dot or dash, and has no characters that control
    anything; its suffix says what the bytes are.
    """
    last = upload.name.replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(char if char.isprintable() and char not in "/\0" else "_" for char in last)
    stem, suffix = os.path.splitext(text.strip().lstrip(".-").strip())  # noqa: PTH122
    kind = media_type(upload.content[:HEAD_BYTES])
    suffixes = kind.suffixes if kind else (".img",)
    if suffix.lower() not in suffixes:
        suffix = suffixes[0]
    short = (stem or "image").encode("utf-8", "ignore")[:_MOST_BYTES].decode("utf-8", "ignore")
    return f"{short.strip() or 'image'}{suffix}"


def _write(file: Path, content: bytes) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())


def _place(part: Path, places: list[Path], content_hash: str) -> Path:
    """Give a file its name, unless a file has it; return the file with the content."""
    places[0].parent.mkdir(parents=True, exist_ok=True)
    for path in places:
        if _named(part, path) or _has_content(path, content_hash):
            return path
    raise FileExistsError(f"{places[-1]} is another file")


def _named(part: Path, path: Path) -> bool:
    """Give a file a name that no file has; return False if one has it."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            return False
        os.close(descriptor)
        part.replace(path)
    return True


def _has_content(path: Path, content_hash: str) -> bool:
    """Whether a file has this content."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while part := file.read(_READ_BYTES):
                digest.update(part)
    except OSError:
        return False
    return digest.hexdigest() == content_hash


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:
        return False
