"""The user's settings of the private server, stored in its home folder."""

import json
import re
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from lookalike.core.errors import InputError, ServerError
from lookalike.core.sizes import bytes_of
from lookalike.server.folders import Folders

AUTO, NEVER = "auto", "never"
SMALLEST_POOL = 16  # MB
MEBIBYTE = 2**20
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Settings:
    """Settings of the server.

    buffer_pool: in bytes, None for a share of the memory. stop_after_idle: in seconds, None: never.
    """

    buffer_pool: int | None = None
    stop_after_idle: int | None = None

    @property
    def pool_bytes(self) -> int:
        """Return the size of the buffer pool in bytes."""
        return buffer_pool_bytes() if self.buffer_pool is None else self.buffer_pool

    def changed(self, buffer_pool: str | None, stop_after_idle: str | None) -> "Settings":
        """Return these settings with the given changes, as users write them. Raises InputError."""
        new = self
        if buffer_pool is not None:
            new = replace(new, buffer_pool=read_size(buffer_pool))
        if stop_after_idle is not None:
            new = replace(new, stop_after_idle=read_duration(stop_after_idle))
        return new


def read_size(text: str) -> int | None:
    """Return the bytes of a size such as 512M or 1.5G; None for auto. Raises InputError."""
    if text.lower() == AUTO:
        return None
    size = bytes_of(text) or 0
    if not SMALLEST_POOL * MEBIBYTE <= size <= psutil.virtual_memory().total:
        raise InputError(
            f"a buffer pool of {text[:40]!r}: give a size from {SMALLEST_POOL}M to the machine's "
            "memory, such as 512M or 1G, or auto"
        )
    return size // MEBIBYTE * MEBIBYTE


def read_duration(text: str) -> int | None:
    """Return the seconds of a time such as 30m or 2h; None for never. Raises InputError."""
    if text.lower() == NEVER:
        return None
    found = re.fullmatch(r"(\d{1,7}) ?([smhd]?)", text.strip().lower())
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not seconds:
        raise InputError(f"an idle time of {text[:40]!r}: give one such as 30m or 2h, or never")
    return seconds


def load(folders: Folders) -> Settings:
    """Return a home folder's settings. Raises ServerError for an unreadable file."""
    try:
        return Settings(**json.loads(folders.settings.read_text()))
    except (FileNotFoundError, NotADirectoryError):
        return Settings()
    except (OSError, ValueError, TypeError) as error:
        raise ServerError(
            f"{folders.settings} cannot be read: {error}; remove it, and repeat its settings with "
            f"{folders.engine.to_start} --buffer-pool SIZE --stop-after-idle TIME"
        ) from error


def save(folders: Folders, settings: Settings) -> None:
    """Store the settings; the lock "server" must be held."""
    new = folders.settings.with_suffix(".new")
    new.write_text(json.dumps(asdict(settings)))
    new.replace(folders.settings)


def buffer_pool_bytes() -> int:
    """Return a quarter of the memory, between 128 MB and 4 GB, in bytes.

    This is enough for the index of some million images, and leaves the rest to other programs, such
    as the model. In a container, its limit counts as the memory.
    """
    memory = psutil.virtual_memory().total
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            memory = min(memory, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such cgroup controller, or "max"
            continue
    return min(max(memory // 4 // MEBIBYTE, 128), 4096) * MEBIBYTE
