"""A disk that fills up: a tmpfs with a file on it that leaves little room."""

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTE = 2**20
SIZE = 400 * MEGABYTE
ROOM = 5 * MEGABYTE
"""What is left to the server while the disk is being filled."""


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave no more than ROOM; the server may write meanwhile."""
        while (size := self._free() - ROOM) > 0:
            try:
                with self._ballast.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, size)
                return
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def _free(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize

    def empty(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Mount one on an empty folder, and unmount it in the end. Needs root."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "lookalike-torture", folder],
        check=True,
        capture_output=True,
    )
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: a process that has just been killed may still hold it for a moment.
        subprocess.run(["umount", "--lazy", folder], check=True)


def can_mount() -> bool:
    """Whether this process may mount a tmpfs."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory(prefix="lk-mount-") as folder:
        try:
            with small_disk(Path(folder)):
                return True
        except (OSError, subprocess.CalledProcessError):
            return False
