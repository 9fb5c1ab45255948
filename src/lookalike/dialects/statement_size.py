"""Estimate the size of a statement with its values written out."""

import numpy as np

from lookalike.dialects import Statement

_NUMBER_BYTES = 32  # enough for any number, NULL or date


def most_bytes(statement: Statement) -> int:
    """Return an upper bound of a statement's size in bytes, with its values written out."""
    return len(statement.sql) + sum(_most_bytes_of(value) for value in statement.params)


def _most_bytes_of(value: object) -> int:
    if isinstance(value, str):
        # Escaping at most doubles the size: every escaped character is one byte.
        return 2 * len(value.encode(errors="surrogatepass")) + 2
    if isinstance(value, bytes | bytearray):
        return 2 * len(value) + len("_binary''")
    if isinstance(value, np.ndarray):
        return 8 * value.size + len("x''")
    return _NUMBER_BYTES
