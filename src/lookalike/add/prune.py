"""Find rows and failures of missing files, only if they are certainly gone."""

import os
import stat
from itertools import chain
from pathlib import Path

from lookalike.core.errors import InputError
from lookalike.core.remote import RemotePath, is_remote, located
from lookalike.database.table import VectorTable
from lookalike.images.walk import ImageWalk, identity
from lookalike.index.rows import files_below


class Prune:
    """Finds rows and failures below a walk's folders whose files are gone.

    A folder that was replaced since the walk began, as when a disk is unmounted, is not trusted.
    """

    def __init__(self, walk: ImageWalk) -> None:
        self._before = walk.identities
        self._empty: dict[Path, bool] = {}
        self._elsewhere: dict[Path, set[str]] = {}

    @property
    def empty_folders(self) -> list[Path]:
        """Return empty folders, perhaps unmounted ones: what is stored of them is kept."""
        return sorted(folder for folder, is_empty in self._empty.items() if is_empty)

    def find(self, table: VectorTable) -> tuple[list[int], list[str]]:
        """Return the ids of rows, and the paths of failures, whose files are gone.

        Raises InputError if that is unknown because a folder cannot be read any more.
        """
        stored = chain.from_iterable(files_below(table, folder) for folder in self._before)
        ids = [row_id for row_id, path in stored if self._is_gone(path)]
        rows = table.connection.query(table.dialect.failures(table))
        failures = [row[0] for row in rows if self._root_of(row[0]) and self._is_gone(row[0])]
        for folder, before in self._before.items():
            if before is None or identity(folder) != before:
                raise InputError(f"{folder} is not the folder that it was a moment ago")
        return ids, failures

    def _root_of(self, path: str) -> Path | None:
        return next((root for root in self._before if root in located(path).parents), None)

    def _is_gone(self, path: str) -> bool:
        if is_remote(path):
            return self._is_gone_elsewhere(RemotePath(path))
        if not (is_missing(Path(path)) or is_something_else(Path(path))):
            return False
        nearest = nearest_folder(Path(path))
        if nearest not in self._empty:
            self._empty[nearest] = holds_nothing(nearest)
        return not self._empty[nearest]

    def _is_gone_elsewhere(self, path: RemotePath) -> bool:
        """Whether a storage's list has other files, and the storage does not know this one."""
        root = self._root_of(str(path))
        if not isinstance(root, RemotePath):
            return False
        if root not in self._elsewhere:
            self._elsewhere[root] = _listed(root)
            self._empty[root] = not self._elsewhere[root]
        there = self._elsewhere[root]
        return bool(there) and str(path) not in there and is_missing(path)


def _listed(root: RemotePath) -> set[str]:
    """Return the files below a folder of storage elsewhere. Raises InputError."""
    try:
        return {f"{root}/{name}" for name, _ in root.walk_files(skip_hidden=False)}
    except OSError as error:
        raise InputError(f"{root}: {error.strerror or error}") from error


def nearest_folder(path: Path) -> Path:
    """Return the nearest existing folder above a path. Raises InputError."""
    return next(folder for folder in path.parents if not is_missing(folder))


def is_missing(path: Path) -> bool:
    """Whether nothing is at a path, not even a broken link. Raises InputError."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except PermissionError:  # the walk has reported its folder
        return False
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error
    return False


def is_something_else(path: Path) -> bool:
    """Whether a folder, pipe or device replaced a file, or a link's target."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a broken link, perhaps only temporarily
        return False


def holds_nothing(folder: Path) -> bool:
    """Whether a folder is empty, like an unmounted mount point. Raises InputError."""
    try:
        with os.scandir(folder) as listing:  # reads only the beginning of a large folder
            return next(listing, None) is None
    except NotADirectoryError:  # a file has replaced the folder
        return False
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror or error}") from error
