"""SQL literals, for statements that people paste and files that clients load."""

# As the server reads strings unless its sql_mode has NO_BACKSLASH_ESCAPES.
_ESCAPES = str.maketrans(
    {"'": "''", "\\": "\\\\", "\0": "\\0", "\n": "\\n", "\r": "\\r", "\x1a": "\\Z"}
)


def is_utf8(text: str) -> bool:
    """Whether a text can be sent: file names may contain bytes that are not UTF-8."""
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
        # With an exponent it is a DOUBLE; without one MySQL would compute in slow DECIMAL.
        return repr(value) if "e" in repr(value) else f"{value!r}e0"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    if isinstance(value, str):
        return f"'{value.translate(_ESCAPES)}'"
    raise TypeError(f"a {type(value).__name__} has no SQL literal")
