"""Paths of files in storage elsewhere (s3://, gs://, https:// and others), read through fsspec."""

import errno
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from hashlib import sha256
from io import BufferedReader
from pathlib import Path, PosixPath
from typing import Any, Final, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from lookalike.core.errors import InputError, MissingExtra

MAX_BYTES: Final = 2_000_000_000
"""Larger files are not fetched."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_OF_EXTRA: Final = ("s3", "s3a", "gs", "gcs", "http", "https")
_WEB: Final = ("http", "https")
_BUCKETS: Final = ("s3", "s3a", "gs", "gcs", "abfs", "az")
_GONE: Final = (404, 410)
_TIMES: Final = ("LastModified", "last_modified", "mtime", "updated", "modified", "Last-Modified")


class Stamp(NamedTuple):
    """What tells whether a file has changed: its size in bytes and mtime in nanoseconds."""

    size: int
    mtime_ns: int


class RemotePath(PosixPath):
    """A path whose text is a URL; what reads the file is `stat` and `fetched`.

    It is absolute, and its parts are the URL's. Files are read as the environment says: of
    credentials, regions and endpoints.
    """

    def __str__(self) -> str:
        first, *names = self.parts or (".",)
        # Without a scheme it is the end of one, as of `relative_to`.
        return "/".join([f"{first}/" if first.endswith(":") else first, *names])

    def __fspath__(self) -> str:
        return str(self)

    @property
    def protocol(self) -> str:
        """The URL's scheme, such as s3."""
        return self.parts[0].rstrip(":").lower()

    @property
    def bucket(self) -> "RemotePath | None":
        """The bucket that it is in; None if its storage has none."""
        return RemotePath(*self.parts[:2]) if is_bucket(self) else None

    def is_absolute(self) -> bool:
        """Whether it is the same in every folder: always."""
        return True

    def absolute(self) -> Self:
        """Return itself."""
        return self

    def resolve(self, strict: bool = False) -> Self:
        """Return itself: links are not known."""
        return self

    def as_uri(self) -> str:
        """Return the URL."""
        return str(self)

    def is_symlink(self) -> bool:
        """Whether it is a link: never."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Ask the storage for size and mtime, and whether it is a folder.

        Raises FileNotFoundError if it is certainly not there, else OSError, and MissingExtra.
        """
        system, place = self._system()
        with _explaining(self):
            info = system.info(place)
        kind = stat.S_IFDIR if info.get("type") == "directory" else stat.S_IFREG
        size, mtime_ns = stamp_of(info)
        fields = (kind | 0o444, 0, 0, 1, 0, 0, size, 0, mtime_ns // 10**9, 0)
        return os.stat_result(fields, {"st_mtime_ns": mtime_ns})

    def lstat(self) -> os.stat_result:
        """Return what `stat` returns."""
        return self.stat()

    def exists(self, *, follow_symlinks: bool = True) -> bool:
        """Whether a file or folder is there. Raises OSError if that is unknown."""
        return self._is(lambda mode: True)

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a folder; the web has none. Raises OSError if that is unknown."""
        return self.protocol not in _WEB and self._is(stat.S_ISDIR)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a file. Raises OSError if that is unknown."""
        return self._is(stat.S_ISREG)

    def _is(self, kind: Callable[[int], bool]) -> bool:
        try:
            return kind(self.stat().st_mode)
        except FileNotFoundError:
            return False

    @contextmanager
    def fetched(self) -> Iterator[Path]:
        """Fetch the file into a temporary one, which is gone after the block. Raises OSError.

        The copy has the file's mtime.
        """
        status = self.stat()
        if status.st_size > MAX_BYTES:
            large = f"it has {status.st_size:,} bytes, of at most {MAX_BYTES:,}"
            raise OSError(errno.EFBIG, large)
        system, place = self._system()
        with tempfile.NamedTemporaryFile(prefix="lookalike-") as copy:
            with _explaining(self):
                system.get_file(place, copy.name)
            os.utime(copy.name, ns=(status.st_mtime_ns, status.st_mtime_ns))
            yield Path(copy.name)

    def open_fetched(self) -> BufferedReader:
        """Fetch the file and open the copy, which is gone when it is closed. Raises OSError."""
        with self.fetched() as copy:
            return copy.open("rb")

    def walk_files(
        self, *, skip_hidden: bool, unread: Callable[[OSError], None] | None = None
    ) -> Iterator[tuple[str, Stamp | None]]:
        """Yield (name below it, stamp) of all files below, folder by folder, sorted.

        The stamp is None if the storage's lists do not tell. unread: called with the error of a
        folder that cannot be listed, whose filename is its URL; without it, raises OSError.
        """
        waiting = [""]
        while waiting:
            within = waiting.pop()
            try:
                listed = self._listed(within)
            except OSError as error:
                if unread is None:
                    raise
                unread(OSError(error.errno, error.strerror or str(error), str(self / within)))
                continue
            subfolders = []
            for name, info in listed:
                if skip_hidden and name.rsplit("/", 1)[-1].startswith("."):
                    continue
                if info.get("type") == "directory":
                    subfolders.append(name + "/")
                else:
                    yield name, None if info.get("size") is None else stamp_of(info)
            waiting += reversed(subfolders)

    def _listed(self, within: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (name below this folder, what is known) of all in a folder below it."""
        system, place = self._system()
        root = place.rstrip("/") + "/"
        try:
            with _explaining(self):
                listing = system.ls(root + within, detail=True)
        except FileNotFoundError:
            if within:  # what was in it has gone meanwhile
                return []
            raise
        found = {}
        for info in listing:
            place = str(info["name"]).rstrip("/")
            name = place.removeprefix(root)
            # Folders of S3 are also empty files of their own; pages link to anything, also up.
            is_below = place.startswith(root + within) and name != within.rstrip("/")
            if is_below and not {"", ".", ".."} & set(name.split("/")):
                found[name] = info
        return sorted(found.items())

    def matches(self) -> list["RemotePath"]:
        """Return the files and folders that this URL, as a glob, names. Raises OSError."""
        system, place = self._system()
        with _explaining(self):
            found = system.glob(place)
        before = str(self).removesuffix(place)
        return [RemotePath(before + each) for each in sorted(found)]

    def _system(self) -> tuple[Any, str]:
        """Return fsspec's file system and the path in it; no cache of lists: files change."""
        try:
            from fsspec.core import url_to_fs
        except ImportError as error:
            raise MissingExtra("remote", f"reading {self}") from error
        try:
            system, place = url_to_fs(str(self), use_listings_cache=False)
        except ImportError as error:
            if self.protocol in _OF_EXTRA:
                raise MissingExtra("remote", f"reading {self}") from error
            raise InputError(f"{self}: {error}") from error
        except ValueError as error:
            raise InputError(f"{self}: {error}") from error
        return system, str(place)


@contextmanager
def on_disk(path: Path) -> Iterator[Path]:
    """Yield where a file can be opened: itself, or a copy of a remote one. Raises OSError."""
    if isinstance(path, RemotePath):
        with path.fetched() as copy:
            yield copy
    else:
        yield path


def is_remote(text: object) -> bool:
    """Whether a text or path is a URL with a scheme."""
    return isinstance(text, str | os.PathLike) and _URL.match(os.fspath(text)) is not None


def is_bucket(text: object) -> bool:
    """Whether it is a URL in a bucket: those lead to no server that the URL itself names."""
    return is_remote(text) and str(text).partition(":")[0].lower() in _BUCKETS


def located(text: str | os.PathLike[str]) -> Path:
    """Return what a stored path names: a RemotePath for a URL, else a Path."""
    text = os.fspath(text)
    return RemotePath(text) if is_remote(text) else Path(text)


def checked_url(url: str) -> Path:
    """Return the path of a URL that a user gives; a Path for file://.

    Raises InputError for a URL that cannot be stored.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{url}: {error}") from error
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    # The web takes tokens as names of users; those of sftp:// are just names.
    secret = parts.password or (parts.username if parts.scheme in _WEB else None)
    if secret:
        raise InputError(
            f"{url.replace(secret, '…')}: the password would be stored with every image; "
            "give it in the environment, as fsspec documents"
        )
    if "::" in url:
        raise InputError(f"{url}: chained URLs are not read")
    if not parts.netloc:
        raise InputError(f"{url}: name a bucket or a server, as s3://bucket/folder")
    url = parts.scheme + url[len(parts.scheme) :]  # in small letters
    path = RemotePath(url)
    if str(path) != url.rstrip("/"):
        raise InputError(f"{url}: names that are empty or . cannot be stored; did you mean {path}?")
    return path


def stamp_of(info: dict[str, Any]) -> Stamp:
    """Return what fsspec's information on a file tells.

    The mtime is in whole seconds, since S3 gives milliseconds in lists and seconds for a file; what
    is below a second is made of the ETag.
    """
    times = (_seconds(info.get(name)) for name in _TIMES)
    seconds = next((time for time in times if time is not None), 0)
    etag = str(info.get("ETag") or info.get("etag") or "")
    below = int.from_bytes(sha256(etag.encode()).digest()[:8]) % 10**9 if etag else 0
    return Stamp(int(info.get("size") or 0), seconds * 10**9 + below)


def _seconds(value: object) -> int | None:
    """Return whole seconds since 1970 of a time in any form that storages give."""
    if isinstance(value, str):
        for parse in (parsedate_to_datetime, datetime.fromisoformat):
            with suppress(ValueError):
                return int(parse(value).timestamp())
        return None
    if isinstance(value, datetime):
        return int(value.timestamp())
    return int(value) if isinstance(value, int | float) else None


@contextmanager
def _explaining(path: RemotePath) -> Iterator[None]:
    """Turn what a file system raises into an OSError with a reason in one line.

    FileNotFoundError is left only where the storage says that nothing is there: fsspec raises it
    for every failure of a web server.
    """
    try:
        yield
    except FileNotFoundError as error:
        status = getattr(error.__cause__, "status", 404 if error.__cause__ is None else None)
        if path.protocol in _WEB and status not in _GONE:
            raise OSError(errno.EIO, _reason(error.__cause__ or error)) from error
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    except Exception as error:
        raise OSError(errno.EIO, _reason(error)) from error


def _reason(error: BaseException) -> str:
    status, message = getattr(error, "status", None), getattr(error, "message", None)
    text = f"HTTP status {status}: {message}" if status else str(error)
    return " ".join(text.split())[:500] or type(error).__name__
