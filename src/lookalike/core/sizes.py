"""Sizes of memory, as users write them."""

import re

from lookalike.core.arguments import wrong

_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}


def bytes_of(text: str) -> int | None:
    """Return the bytes of a size such as 512M or 1.5G; None if it is none."""
    found = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?) ?([kmgt]?)i?b?", text.strip().lower())
    return int(float(found[1]) * _UNITS[found[2]]) if found else None


def check_bytes(name: str, size: int | str | None) -> int | None:
    """Return a limit of memory in bytes; None for none. Raises InputError for anything else."""
    if size is None:
        return None
    found = bytes_of(size) if isinstance(size, str) else size
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise wrong(name, size, "a size such as 512M or 2G, or bytes")
    return found
