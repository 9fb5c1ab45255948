"""What was removed, kept for a while so that it can be put back."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from lookalike.web.problems import Problem


@dataclass(frozen=True)
class Undo:
    """A change that can be taken back.

    Attributes:
        collection: Name of the collection.
        what: What was done, as "3 images moved to the trash".
        rows: Number of rows that it keeps in memory.
        take_back: Takes it back, and returns one sentence about it.
    """

    collection: str
    what: str
    rows: int
    take_back: Callable[[], str]


class Undos:
    """The latest changes by token; threads may share it.

    Args:
        limit: Number of changes to keep.
        most_rows: Number of rows to keep with them; the latest change is always kept.
    """

    def __init__(self, *, limit: int = 200, most_rows: int = 20_000) -> None:
        self._limit = limit
        self._most_rows = most_rows
        self._kept: OrderedDict[str, Undo] = OrderedDict()
        self._lock = Lock()

    def keep(self, undo: Undo) -> str:
        """Keep a change and return its token."""
        token = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[token] = undo
            while len(self._kept) > 1 and self._are_too_many():
                self._kept.popitem(last=False)
        return token

    def has(self, token: str) -> bool:
        """Whether a change can still be taken back."""
        with self._lock:
            return token in self._kept

    def take(self, token: str) -> Undo | None:
        """Return a change, once; None if it was taken back before or is too old."""
        with self._lock:
            return self._kept.pop(token, None)

    def take_back(self, token: str) -> str:
        """Take a change back, and return one sentence about it.

        If that fails, it can be tried again. Raises Problem 404 if it was taken back before, or is
        too old.
        """
        undo = self.take(token)
        if undo is None:
            raise Problem(404, "this can no longer be undone")
        try:
            return undo.take_back()
        except BaseException:
            self.restore(token, undo)
            raise

    def restore(self, token: str, undo: Undo) -> None:
        """Keep a change under its token again, because taking it back failed."""
        with self._lock:
            self._kept[token] = undo

    def _are_too_many(self) -> bool:
        rows = sum(undo.rows for undo in self._kept.values())
        return len(self._kept) > self._limit or rows > self._most_rows
