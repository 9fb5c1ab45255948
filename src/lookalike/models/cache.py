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
    """Return the folder in LOOKALIKE_CACHE, or the user's cache folder; it may not exist yet."""
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    return Path(named) if named else platformdirs.user_cache_path("lookalike")


def cached(name: str, build: Callable[[], bytes]) -> bytes:
    """Return the content cached under `name`, calling `build` if there is none.

    The file holds the content's SHA-256 and the content, so a truncated or damaged file is rebuilt.
    Processes that build at once each replace the file as a whole. If the folder is not writable,
    the content is built every time.
    """
    content = kept(name)
    if content is None:
        content = build()
        keep(name, content)
    return content


def kept(name: str) -> bytes | None:
    """Return the content cached under a name; None if there is none or it is damaged."""
    try:
        with cache_folder().joinpath(name).open("rb") as file:
            digest, content = file.read(_DIGEST_SIZE), file.read()
    except OSError:
        return None
    return content if hashlib.sha256(content).digest() == digest else None


def keep(name: str, content: bytes) -> None:
    """Cache a content under a name, replacing any old one, if the folder is writable."""
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
        # The cache only saves time, so a full disk or a read-only home is not an error.
        return
