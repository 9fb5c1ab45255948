"""Find image files in files, folders, globs and storage elsewhere, one by one, in order."""

import glob
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pathspec

from lookalike.core.arguments import check_many, check_path
from lookalike.core.errors import InputError
from lookalike.core.paths import expand_user
from lookalike.core.remote import RemotePath, Stamp, checked_url, is_remote, located
from lookalike.core.types import Failure
from lookalike.images.raw import RAW_SUFFIXES, has_raw

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"}
)
"""Suffixes of images in folders, beside those of RAW files, which need the extra `raw`.

A file that is given itself is always tried.
"""


ALIKE = RAW_SUFFIXES | frozenset(
    {".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts"}
    | {".webm", ".wmv"}
    | {".ai", ".djvu", ".eps", ".indd", ".pdf", ".psb", ".psd", ".svg", ".svgz", ".xcf"}
    | {".exr", ".hdr", ".ico", ".j2k", ".jp2", ".jxl", ".jxr", ".pbm", ".pgm", ".ppm", ".qoi"}
    | {".tga"}
)
"""Suffixes of files that somebody may take for images, and that are passed over in folders."""


class FoundImage(NamedTuple):
    """An image file.

    path: absolute. name: its name within the given folder. stamp: as listed, if a list tells.
    """

    path: Path
    name: str
    stamp: Stamp | None = None


class _Wanted(NamedTuple):
    """The wanted files and folders below a folder, and the folders above them, by relative name."""

    names: frozenset[str]
    above: frozenset[str]

    @property
    def any(self) -> bool:
        return bool(self.names)


class ImageWalk:
    """The image files in files, folders (recursive, sorted), globs and URLs, each once.

    exclude: .gitignore patterns, matched below each folder. hidden: include names that begin with a
    dot. Links to files are read; links to folders are followed only if they are given themselves,
    so there are no loops. Can be iterated several times; nothing is kept in memory. only: yield
    nothing but these files and what is below these folders, which need not exist.

    Raises InputError for a missing path and for an invalid pattern.
    """

    def __init__(
        self,
        paths: Iterable[str | os.PathLike[str]],
        *,
        exclude: Sequence[str] = (),
        hidden: bool = False,
        only: Iterable[str | os.PathLike[str]] | None = None,
    ) -> None:
        paths = list(paths)
        for path in paths:
            check_path("a file or folder", path)
        check_many("exclude", exclude, "patterns")
        self._given = [os.fspath(path) for path in paths]
        roots = dict.fromkeys(root for path in self._given for root in _expand(path))
        listed = {located(path) for path in self._given if is_remote(path) and path.endswith("/")}
        folders = {root for root in roots if root in listed or root.is_dir()}
        self.folders = sorted(root for root in folders if folders.isdisjoint(root.parents))
        """The folders to walk; none is inside another."""
        self.identities = {folder: identity(folder) for folder in self.folders}
        """Identifies each folder, to notice later if it was replaced."""
        self.files = [root for root in roots if root not in folders]
        """Files that were given themselves."""
        self._named = frozenset(self.files)
        self.is_partial = only is not None
        """Whether only some of the files are wanted."""
        self._only = frozenset(
            each.parent.resolve() / each.name for each in map(located, only or ())
        )
        self._suffixes = SUFFIXES | RAW_SUFFIXES if has_raw() else SUFFIXES
        self._hidden = hidden
        self._excluded = _compile(exclude)

    def __iter__(self) -> Iterator[FoundImage]:
        yield from (found for found in self.walk() if isinstance(found, FoundImage))

    def walk(self, passed_over: Counter[str] | None = None) -> Iterator[FoundImage | Failure]:
        """Yield the images, and a Failure for each unreadable folder.

        passed_over: counts, by suffix, the files that are no images but something like it.
        """
        for file in self.files:
            if not self.is_partial or not self._only.isdisjoint((file, *file.parents)):
                yield FoundImage(file, file.name)
        for folder in self.folders:
            if isinstance(folder, RemotePath):
                yield from self._below_remote(folder, passed_over)
            else:
                yield from self._below(folder, passed_over)

    def check(self) -> None:
        """Raise InputError if there is no image; it names what cannot be read.

        Of a walk of only some files nothing is expected.
        """
        if self.is_partial:
            return
        unread, passed_over = [], Counter[str]()
        for found in self.walk(passed_over):
            if isinstance(found, FoundImage):
                return
            unread.append(found)
        if not unread:
            others = f"; passed over: {_told(passed_over)}" if passed_over else ""
            raise InputError(f"no images in {', '.join(self._given)}{others}")
        more = f" and {len(unread) - 1:,} more folders" if unread[1:] else ""
        raise InputError(
            f"{unread[0].path}: {unread[0].reason}{more}; no image was "
            "found elsewhere: allow your user to read it"
        )

    def _below(
        self, root: Path, passed_over: Counter[str] | None
    ) -> Iterator[FoundImage | Failure]:
        wanted = self._wanted(root)
        # Not recursive: folders may be nested deeper than Python's recursion limit.
        waiting = [("", wanted is None)] if wanted is None or wanted.any else []
        while waiting:
            within, is_whole = waiting.pop()
            try:
                with os.scandir(root / within) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                yield Failure(root / within, error.strerror or str(error))
                continue
            subfolders = []
            for entry in entries:
                name = within + entry.name
                is_wanted = is_whole or (wanted is not None and name in wanted.names)
                if entry.name.startswith(".") and not self._hidden:
                    continue
                if not is_wanted and (wanted is None or name not in wanted.above):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not self._excluded.match_file(name + "/"):
                        subfolders.append((name + "/", is_wanted))
                elif is_wanted and self._is_of(self._suffixes, entry, name):
                    yield FoundImage(root / name, name)
                elif passed_over is not None and is_wanted and self._is_of(ALIKE, entry, name):
                    passed_over[_suffix(entry.name)] += 1
            waiting += reversed(subfolders)

    def _below_remote(
        self, root: RemotePath, passed_over: Counter[str] | None
    ) -> Iterator[FoundImage | Failure]:
        wanted = self._wanted(root)
        unread: list[OSError] = []
        files = root.walk_files(skip_hidden=not self._hidden, unread=unread.append)
        for name, stamp in files:
            path, suffix = root / name, _suffix(name)
            if self._excluded.match_file(name) or path in self._named:
                continue
            if wanted and wanted.names.isdisjoint([name, *map(str, PurePosixPath(name).parents)]):
                continue
            if suffix in self._suffixes:
                yield FoundImage(path, name, stamp)
            elif passed_over is not None and suffix in ALIKE:
                passed_over[suffix] += 1
        for error in unread:
            yield Failure(located(error.filename), error.strerror or str(error))

    def _wanted(self, root: Path) -> "_Wanted | None":
        """Return what is wanted below a folder; None for everything."""
        if not self.is_partial or not self._only.isdisjoint((root, *root.parents)):
            return None
        below = [path.relative_to(root) for path in self._only if root in path.parents]
        above = {str(folder) for path in below for folder in path.parents}
        return _Wanted(frozenset(map(str, below)), frozenset(above))

    def _is_of(self, suffixes: frozenset[str], entry: os.DirEntry[str], name: str) -> bool:
        """Whether it is a file with one of some suffixes that is neither excluded nor named."""
        if _suffix(entry.name) not in suffixes:
            return False
        try:
            return (
                entry.is_file()
                and not self._excluded.match_file(name)
                and Path(entry.path) not in self._named
            )
        except OSError:  # a link into an unreadable folder
            return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


def _told(passed_over: Mapping[str, int]) -> str:
    """Return what was passed over in words, the most frequent first."""
    kinds = sorted(passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
    command = raw_remedy(passed_over)
    remedy = f" (RAW: {command})" if command else ""
    return ", ".join(f"{count:,} {suffix}" for suffix, count in kinds) + remedy


def raw_remedy(passed_over: Mapping[str, int]) -> str | None:
    """Return the command that installs what RAW files need, if some were passed over."""
    if RAW_SUFFIXES.isdisjoint(passed_over):
        return None
    from lookalike.core.installed import install_command  # slow to import

    return install_command("raw")


def identity(folder: Path) -> tuple[int, int] | None:
    """Return a value unique to this folder while it exists, None if there is none.

    Storage elsewhere is not mounted and has one for all.
    """
    if isinstance(folder, RemotePath):
        return (0, 0)
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _compile(exclude: Sequence[str]) -> pathspec.GitIgnoreSpec:
    try:
        return pathspec.GitIgnoreSpec.from_lines(exclude)
    except ValueError as error:
        raise InputError(f"cannot exclude {', '.join(exclude)}: {error}") from error


def _expand_url(url: str) -> list[Path]:
    """Return what a URL names. Raises InputError, and MissingExtra."""
    path = checked_url(url)
    if not isinstance(path, RemotePath):
        return _expand(glob.escape(str(path)))
    try:
        if url.endswith("/") or path.exists():
            return [path]
        found: list[Path] = [*path.matches()] if glob.has_magic(url) else []
    except OSError as error:
        raise InputError(f"{url}: {error.strerror or error}") from error
    if not found:
        raise InputError(f"no such file or folder: {url}")
    return found


def _expand(path: str) -> list[Path]:
    if is_remote(path):
        return _expand_url(path)
    root = expand_user(path)
    try:
        if root.exists():
            # If the file itself is a link, keep the name that users see.
            return [root.resolve() if root.is_dir() else root.parent.resolve() / root.name]
    except (OSError, ValueError) as error:  # too long, a NUL, or in an unreadable folder
        raise InputError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    pattern = str(root)
    matches = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []  # noqa: PTH207
    if not matches:
        _refuse_closed(root)
        raise InputError(f"no such file or folder: {path}")
    return [expanded for match in matches for expanded in _expand(glob.escape(match))]


def _refuse_closed(pattern: Path) -> None:
    """Raise InputError if a folder in the pattern cannot be listed."""
    for parent in reversed(pattern.parents):
        for folder in glob.glob(str(parent)) if glob.has_magic(str(pattern)) else []:  # noqa: PTH207
            try:
                if Path(folder).is_dir():
                    os.scandir(folder).close()
            except PermissionError as error:
                raise InputError(f"{folder}: {error.strerror}") from error
