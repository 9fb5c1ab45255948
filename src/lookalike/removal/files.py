"""Files that are moved to the trash and back: only those that are as they were stored."""

from collections.abc import Iterator
from pathlib import Path

from lookalike.core.errors import ImageError
from lookalike.core.remote import RemotePath
from lookalike.core.removals import RemovedFile, TakenFile
from lookalike.core.trash import find_in_trash, send_to_trash, take_from_trash
from lookalike.images.decode import content_hash


class Stays(Exception):
    """Why a file stays where it is."""


def check_file(path: Path | None, stored_hash: bytes | None) -> Path:
    """Return the path of a file that has the bytes that were stored. Raises Stays."""
    if path is None:
        raise Stays("it has no file")
    if isinstance(path, RemotePath):
        raise Stays("it is not on this machine: delete it where it is")
    try:
        if content_hash(path) == stored_hash:
            return path
    except ImageError as error:
        raise Stays(str(error).removeprefix(f"{path}: ")) from error
    raise Stays("it has changed since it was added; add it again")


def trash_file(row_id: int, path: Path, stored_hash: bytes) -> RemovedFile:
    """Move a row's file to the system's trash. Raises Stays."""
    try:
        if path.is_symlink():
            raise Stays("it is a link to another file")
        check_file(path, stored_hash)
        size = path.stat().st_size
        return RemovedFile(row_id, path, size, send_to_trash(path))
    except OSError as error:
        raise Stays(error.strerror or str(error)) from error


def put_back_file(removed: RemovedFile, stored: TakenFile) -> None:
    """Move a file back to where it was, unless it is there. Raises Stays; replaces nothing."""
    if _is_that(removed.path, stored):
        return
    try:
        for file in _candidates(removed):
            if _is_that(file, stored):
                take_from_trash(file, removed.path)
                return
    except FileExistsError as error:
        raise Stays(f"something else is at {removed.path} now") from error
    except OSError as error:
        raise Stays(f"{removed.path}: {error.strerror or error}") from error
    raise Stays(f"its file is not in the trash any more: {removed.path}")


def _candidates(removed: RemovedFile) -> Iterator[Path]:
    if removed.moved_to is not None:
        yield removed.moved_to
    yield from find_in_trash(removed.path)


def _is_that(path: Path, stored: TakenFile) -> bool:
    try:
        is_file = path.is_file() and not path.is_symlink()
        if not is_file or path.stat().st_size != stored.size:
            return False
        return content_hash(path) == stored.content_hash
    except (ImageError, OSError):
        return False
