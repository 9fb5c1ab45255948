"""Write output files: complete or not at all, and never over another program's file."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from lookalike.core.errors import InputError
from lookalike.core.paths import expand_user


@dataclass(frozen=True)
class Kind:
    """A kind of output file.

    name: for messages. endings: allowed suffixes. mark: the first bytes of every such file, by
    which lookalike recognises its own.
    """

    name: str
    endings: tuple[str, ...]
    mark: bytes

    def describe(self, file: str | os.PathLike[str]) -> str:
        return f"{self.name} {file}".lstrip()


_PAGE_MARK = (
    b'<!doctype html>\n<html lang="en">\n<head>\n<meta name="generator" content="lookalike">'
)
_PAGE_ENDINGS = (".html", ".htm")

SQL_FILE = Kind("", (".sql",), b"-- Image embeddings by lookalike,")
CONTACT_SHEET = Kind("the contact sheet", _PAGE_ENDINGS, _PAGE_MARK)
DUPLICATES_REPORT = Kind("the report", _PAGE_ENDINGS, _PAGE_MARK)


def check_target(file: str | os.PathLike[str], kind: Kind, *, force: bool = False) -> None:
    """Raise InputError unless a file of this kind may be written here.

    force: also allow replacing a file that lookalike did not write; never a folder, link or device.
    """
    problem = _problem(expand_user(file), kind, force)
    if problem:
        raise InputError(f"cannot write {kind.describe(file)}: {problem}")


@contextmanager
def written_file(
    file: Path,
    kind: Kind,
    *,
    force: bool = False,
    make_folders: bool = False,
    errors: str = "strict",
) -> Iterator[TextIO]:
    """Open a text file that gets its name when it is complete; until then an old one stays.

    make_folders: create the parent folder. errors: how to handle text that UTF-8 cannot encode.
    Raises InputError as `check_target` does, and if the file cannot be written.
    """
    check_target(file, kind, force=force)
    # Short enough for any file system that accepts the file's name; random, so not in use.
    partial = file.with_name(f".lookalike-{secrets.token_hex(8)}.partial")
    try:
        if make_folders:
            file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("x", encoding="utf-8", errors=errors, newline="\n") as out:
            with suppress(FileNotFoundError):
                partial.chmod(stat.S_IMODE(file.stat().st_mode))
            yield out
            out.flush()
            os.fsync(out.fileno())
        check_target(file, kind, force=force)  # it may have been created meanwhile
        partial.replace(file)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write {kind.describe(file)}: {reason}") from error
    finally:
        with suppress(OSError):  # if it could not even be opened
            partial.unlink(missing_ok=True)


def _problem(file: Path, kind: Kind, force: bool) -> str | None:
    if file.suffix.lower() not in kind.endings:
        return f"give a file whose name ends in {' or '.join(kind.endings)}"
    try:
        mode = file.lstat().st_mode
        if stat.S_ISLNK(mode):
            return "it is a link; give the file that it points to"
        if stat.S_ISDIR(mode):
            return "it is a folder; give a file"
        if not stat.S_ISREG(mode):
            return "it is a device, a pipe or a socket; give a file"
        if not os.access(file, os.W_OK):
            return "Permission denied"
        if not force and not _begins_with(file, kind.mark):
            return (
                "it exists, and lookalike did not write it; "
                "give another name, or replace it with --force (in Python force=True)"
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:  # too long, a NUL, or in an unreadable folder
        return getattr(error, "strerror", None) or str(error)
    return None


def _begins_with(file: Path, mark: bytes) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(mark)) == mark
