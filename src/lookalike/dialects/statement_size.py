"""How long a statement can become when its values are written out."""

import numpy as np

from lookalike.dialects import Statement

_NUMBER_BYTES = 32  # of any number, NULL or date


def most_bytes(statement: Statement) -> int:
    """Return how long a statement may become at the most when its values are written out."""
    return len(statement.sql) + sum(_most_bytes_of(value) for value in statement.params)


def _most_bytes_of(value: object) -> int:
    if isinstance(value, str):
        # Of what is escaped each character is a byte.
        return 2 * len(value.encode(errors="surrogatepass")) + 2
    if isinstance(value, bytes | bytearray):
        return 2 * len(value) + len("_binary''")
    if isinstance(value, np.ndarray):
        return 8 * value.size + len("x''")
    return _NUMBER_BYTES
