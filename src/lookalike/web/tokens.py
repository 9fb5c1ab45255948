"""Tokens: who may read, and who may change."""

from __future__ import annotations

import hashlib
import os
import secrets
from hmac import compare_digest
from pathlib import Path
from typing import Literal, NamedTuple

from platformdirs import user_data_path

from lookalike import InputError

Access = Literal["none", "read", "write"]
_LENGTH = 32
_SHORTEST = 16


class Tokens(NamedTuple):
    """The tokens of a server; None for a kind that is not given out."""

    write: str | None
    read: str | None

    def access(self, given: str) -> Access:
        """Return what a token allows. Takes the same time for each wrong one."""
        digest = _digest(given)
        may_write = self.write is not None and compare_digest(digest, _digest(self.write))
        may_read = self.read is not None and compare_digest(digest, _digest(self.read))
        return "write" if may_write else "read" if may_read else "none"


def _digest(token: str) -> bytes:
    # Of one length, so that the time of a comparison tells nothing about the token.
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def stored_tokens(folder: Path | None = None) -> tuple[str, str]:
    """Return this user's (token, read-only token), made on first use and readable by nobody else.

    They are the same after a restart, so bookmarks and cookies stay valid; delete the file to
    replace them.

    Raises InputError if the file cannot be read or written, or others may read it.
    """
    file = (folder or user_data_path("lookalike")) / "web-tokens"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_once(file)
        if file.stat().st_mode & 0o077:
            raise InputError(f"{file}: others may read this file; run chmod 600 on it")
        write, read, *_ = file.read_text("ascii").split()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or "it does not hold two tokens; delete it"
        raise InputError(f"{file}: {reason}") from error
    return write, read


def _write_once(file: Path) -> None:
    """Write new tokens, whole or not at all, unless the file is there."""
    if file.exists():
        return
    text = "\n".join(secrets.token_urlsafe(_LENGTH) for _ in range(2)) + "\n"
    new = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    new.touch(mode=0o600)
    try:
        new.write_text(text, "ascii")
        os.link(new, file)
    except FileExistsError:  # another process was first
        pass
    finally:
        new.unlink()


def check_token(token: str) -> str:
    """Return a token that a user chose. Raises InputError if it is short or has odd characters."""
    if len(token) < _SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise InputError(
            f"a token has at least {_SHORTEST} characters of ASCII, without spaces; make one with "
            "`openssl rand -hex 32`"
        )
    return token
