"""SQL statements with bound values, and helpers to build them."""

import re
from typing import Any, NamedTuple

from lookalike.core.errors import InputError
from lookalike.dialects.literals import literal

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,47}")
_COPY = "lookalike: unfinished copy of "


class Statement(NamedTuple):
    """One SQL statement with %s placeholders, and the values bound to them."""

    sql: str
    params: tuple[Any, ...] = ()

    def __str__(self) -> str:
        """Return the statement with its values as literals, to paste into any client."""
        if not self.params:
            return self.sql
        return self.sql % tuple(literal(value) for value in self.params)


def quote_name(collection: str, suffix: str = "") -> str:
    """Return the quoted name of a collection's table, or of one of its side tables.

    Raises InputError unless the collection is a letter or underscore followed by at most 47
    letters, digits and underscores: within MySQL's limit of 64, this leaves room for the suffix.
    """
    if not is_name(collection):
        raise InputError(
            f"{collection!r} cannot be a collection's name: use letters, digits and underscores, "
            "48 at most, and no digit first"
        )
    return f"`{collection}{suffix}`"


def is_name(collection: str) -> bool:
    """Whether this is a valid name of a collection."""
    return _NAME.fullmatch(collection) is not None


def is_reserved(collection: str) -> bool:
    """Whether side tables of tables of the user's own are named like those of this collection."""
    return re.fullmatch(r"lookalike_[0-9]+", collection, re.IGNORECASE) is not None


def generation_comment(collection: str, generation: int) -> str:
    """Return the COMMENT that marks a generation's two tables as lookalike's own."""
    return f"lookalike: index of {collection}, generation {generation:d}"


def generation_of(collection: str, table: str) -> tuple[str, int] | None:
    """Return (kind, generation) if a table is named like an index table of a collection.

    Check its comment too: other programs may have tables with such names.
    """
    kind, _, text = table[len(collection) + 1 :].partition("_")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    is_so_called = table.lower() == f"{collection}_{kind}_{number}".lower()
    return (kind, number) if is_so_called else None


def copy_comment(origin: str) -> str:
    """Return the COMMENT that marks a collection's table as an unfinished copy of another one."""
    return _COPY + origin


def copy_of(comment: str) -> str | None:
    """Return what a table with this comment is an unfinished copy of; None if it is none."""
    return comment.removeprefix(_COPY) if comment.startswith(_COPY) else None


def places(n: int) -> str:
    """Return n placeholders."""
    return ", ".join(["%s"] * n)


def values(columns: int, rows: int) -> str:
    """Return the placeholders of a multi-row insert."""
    return ", ".join([f"({places(columns)})"] * rows)
