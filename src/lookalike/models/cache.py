"""Files that are built once and kept in the user's cache folder."""

import hashlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import platformdirs

ENVIRONMENT_VARIABLE: Final = "LOOKALIKE_CACHE"
_DIGEST_SIZE: Final = 32


def cache_folder() -> Path:
    """The folder LOOKALIKE_CACHE names, else the user's cache folder; it may not exist yet."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("lookalike")


def cached(name: str, build: Callable[[], bytes]) -> bytes:
    """Return what `build` returned the first time, kept under `name` in the cache folder.

    The file is the SHA-256 of the content and then the content, so that one that is cut short or
    damaged is built again. Processes that build at once each put a whole file in place; where the
    folder cannot be written, the content is built each time.
    """
    content = kept(name)
    if content is None:
        content = build()
        keep(name, content)
    return content


def kept(name: str) -> bytes | None:
    """Return what is kept under a name; None where there is nothing, or it is damaged."""
    try:
        raw = cache_folder().joinpath(name).read_bytes()
    except OSError:
        return None
    digest, content = raw[:_DIGEST_SIZE], raw[_DIGEST_SIZE:]
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Keep a content in place of what there was under the name, where the folder can be written."""
    path = cache_folder() / name
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(hashlib.sha256(content).digest() + content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError:
        # the cache only saves time: a full disk or a read-only home is no reason to fail
        return
