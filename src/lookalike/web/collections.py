"""The collections that are served: opened once, their index held in memory."""

from __future__ import annotations

import time
from threading import Lock

from lookalike import Collection, Database, HeldIndex, HeldStatus, InputError
from lookalike.web.problems import Problem
from lookalike.web.settings import Settings

_CHECK_SECONDS = 2.0
"""How long a collection that was created anew by others may be taken for the old one."""
_MOST = 32
"""Collections that are open at the same time."""


class Collections:
    """Opens collections on first use; threads may share it.

    Args:
        db: Where they are.
        settings: Which is the default, and how much memory the index of each may take.
    """

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self._settings = settings
        self._opened: dict[str, Collection] = {}
        self._peeked: dict[str, Collection] = {}
        self._held: dict[str, HeldIndex] = {}
        self._checked: dict[str, float] = {}
        self._lock = Lock()

    @property
    def default(self) -> str:
        """The name of the collection of requests that name none."""
        return self._settings.collection

    def get(self, name: str | None = None) -> Collection:
        """Return a collection that exists. Raises Problem 404 if there is none."""
        collection = self.open(name)
        if not collection.exists:
            try:
                collection.find()  # another program may have created it meanwhile
            except InputError as error:
                raise Problem(404, str(error)) from error
            with self._lock:
                self._hold(collection)
        return collection

    def open(self, name: str | None = None) -> Collection:
        """Return a collection, which may not exist yet."""
        wanted = name or self.default
        self._check(wanted)
        with self._lock:
            if wanted not in self._opened:
                model = self._settings.model if wanted == self.default else None
                opened = self.db.collection(wanted, model=model)
                if not opened.exists and wanted != self.default:
                    return opened
                while len(self._opened) >= _MOST:
                    self._close(next(iter(self._opened)))
                self._opened[wanted] = opened
                self._hold(opened)
            return self._opened[wanted]

    def peek(self, name: str | None = None) -> Collection:
        """Return a collection that exists, for what needs no index: it is not loaded for that.

        Raises Problem 404 if there is none.
        """
        wanted = name or self.default
        with self._lock:
            found = self._opened.get(wanted) or self._peeked.get(wanted)
        if found is None or not found.exists:
            found = self.db.collection(wanted)
            if not found.exists:
                return self.get(wanted)
            with self._lock:
                self._peeked[wanted] = found
                while len(self._peeked) > _MOST:
                    del self._peeked[next(iter(self._peeked))]
        return found

    def forget(self, name: str | None = None) -> None:
        """Open a collection anew on its next use: it was dropped, renamed or created anew."""
        with self._lock:
            self._close(name or self.default)

    def forget_gone(self) -> None:
        """Forget the collections that other programs have dropped, renamed or created anew."""
        with self._lock:
            self._peeked.clear()
            opened = list(self._opened.items())
        for name, collection in opened:
            self._compare(name, collection)

    def close(self) -> None:
        """Release the memory of all."""
        with self._lock:
            for name in list(self._opened):
                self._close(name)

    def held(self) -> dict[str, HeldStatus]:
        """Return what is in memory, by collection."""
        return {name: held.status() for name, held in list(self._held.items())}

    def _check(self, name: str) -> None:
        """Forget a collection that is another one now, if that was not looked at for a while."""
        now = time.monotonic()
        with self._lock:
            collection = self._opened.get(name)
            if collection is None or now - self._checked.get(name, 0.0) < _CHECK_SECONDS:
                return
            self._checked[name] = now
        if collection.exists:
            self._compare(name, collection)

    def _compare(self, name: str, collection: Collection) -> None:
        there = self.db.collection(name)
        same = (there.dim, there.model_id) == (collection.dim, collection.model_id)
        if not (there.exists and same):
            with self._lock:
                if self._opened.get(name) is collection:
                    self._close(name)

    def _hold(self, collection: Collection) -> None:
        if collection.exists and collection.name not in self._held:
            held = collection.hold_index(memory=self._settings.index_memory)
            self._held[collection.name] = held

    def _close(self, name: str) -> None:
        self._peeked.pop(name, None)
        self._checked.pop(name, None)
        collection = self._opened.pop(name, None)
        if collection is not None and (held := self._held.pop(collection.name, None)):
            held.close()
