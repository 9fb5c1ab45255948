"""SQL values written out, for statements that people paste and files that clients load."""

# As the server reads strings unless its sql_mode has NO_BACKSLASH_ESCAPES.
_ESCAPES = str.maketrans(
    {"'": "''", "\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}
)


def literal(value: object) -> str:
    """Return a value as SQL text: numbers, strings, bytes and None. Raises TypeError."""
    if value is None:
        return "NULL"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    raise TypeError(f"a {type(value).__name__} has no SQL literal")
