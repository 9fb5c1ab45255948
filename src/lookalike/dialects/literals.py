"""SQL literals, for statements that users paste and files that clients load."""

# Valid unless the server's sql_mode has NO_BACKSLASH_ESCAPES.
_ESCAPES = str.maketrans(
    {"'": "''", "\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}
)


def is_utf8(text: str) -> bool:
    """Whether a text is valid UTF-8; file names may not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def literal(value: object) -> str:
    """Return a value as SQL text: numbers, strings, bytes and None. Raises TypeError."""
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return repr(value)
    if isinstance(value, float):
        # An exponent makes it a DOUBLE; without one MySQL would compute in slow DECIMAL.
        return repr(value) if "e" in repr(value) else f"{value!r}e0"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    raise TypeError(f"a {type(value).__name__} has no SQL literal")
