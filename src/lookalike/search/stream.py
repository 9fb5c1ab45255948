"""Search again and again: the index is held in memory from when that pays."""

from collections.abc import Callable

from lookalike.index.holding import HeldIndex
from lookalike.index.store import IndexStore
from lookalike.search.in_memory import cost_of_loading, saved_by
from lookalike.search.options import Asked
from lookalike.search.ranking import Found
from lookalike.search.searcher import Searcher
from lookalike.search.trace import Trace


class StreamSearcher:
    """Searches one table for a stream of queries whose length nobody knows.

    Loading the index begins once it would have paid for the queries so far: a stream of any length
    then costs at most twice what is possible.

    Args:
        store: The index.
        held: The index in memory, if it is held already.
        limit: The most memory to take, in bytes; None: a quarter of what is free.
        notify: Called with one line if the index cannot be held.
    """

    def __init__(
        self,
        store: IndexStore,
        held: HeldIndex | None = None,
        *,
        limit: int | None = None,
        notify: Callable[[str], None],
    ) -> None:
        self._store = store
        self._limit = limit
        self._notify = notify
        self._searcher = Searcher(store, held=held)
        self._is_held = held is not None
        self._own: HeldIndex | None = None
        self._saved = 0.0

    def search(self, asked: Asked) -> Found:
        """Return the nearest rows."""
        if not self._is_held:
            index = self._store.load(or_last=True)
            if index is not None and not asked.options.is_exact(index):
                self._saved += saved_by(index, asked.options)
                if self._saved > cost_of_loading(index):
                    self._hold()
        return self._searcher.search(asked, Trace())

    def _hold(self) -> None:
        # The embeddings would take longer to read than what they save.
        self._own = HeldIndex(
            self._store, limit=self._limit, with_vectors=False, notify=self._notify
        )
        self._searcher = Searcher(self._store, held=self._own)
        self._is_held = True

    def close(self) -> None:
        """Release the memory that it holds itself."""
        if self._own is not None:
            self._own.close()
