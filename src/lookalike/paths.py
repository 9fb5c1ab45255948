"""Paths as users write them."""

import os
from pathlib import Path

from lookalike.errors import InputError


def expand_user(path: str | os.PathLike[str]) -> Path:
    """Return a path with its leading ~ or ~user as that home; where there is none, as it stands.

    A file may be named like that: office programs put ~$report.docx beside report.docx. Raises
    InputError for an empty path, which would mean the current folder.
    """
    if not os.fspath(path):
        raise InputError("a path is empty; write . for the current folder")
    try:
        return Path(path).expanduser()
    except RuntimeError:  # no such user
        return Path(path)
