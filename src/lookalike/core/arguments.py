"""Check the types of arguments: what cannot be used is told in one line, with its name."""

import os
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

from lookalike.core.errors import InputError

_SHOWN = 80  # characters of a value


def check_int(name: str, value: Any) -> None:
    """Raise InputError unless a value is a whole number; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise wrong(name, value, "a whole number")


def check_number(name: str, value: Any) -> None:
    """Raise InputError unless a value is a number; a bool is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong(name, value, "a number")


def check_text(name: str, value: Any) -> None:
    """Raise InputError unless a value is a str."""
    if not isinstance(value, str):
        raise wrong(name, value, "text")


def check_path(name: str, value: Any) -> None:
    """Raise InputError unless a value is a path: a str or os.PathLike."""
    if not isinstance(value, str | os.PathLike):
        raise wrong(name, value, "a path")


def check_many(name: str, value: Any, of: str) -> None:
    """Raise InputError unless a value is a list or another iterable, but no text or bytes."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise wrong(name, value, f"a list of {of}")


def wrong(name: str, value: Any, wanted: str) -> InputError:
    """Return the error for a value of a wrong type."""
    shown = repr(value)
    if len(shown) > _SHOWN:
        shown = f"{shown[:_SHOWN]}..."
    return InputError(f"{name} is {shown}; give {wanted}")
