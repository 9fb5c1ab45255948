"""Threads that ask the database, each on a connection of its own."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TypeVar

from lookalike.index.store import IndexStore

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 4


class Workers:
    """Runs a function of (index, item) for many items, several at a time."""

    def __init__(self, threads: ThreadPoolExecutor, stores: Sequence[IndexStore]) -> None:
        self._threads = threads
        self._free: SimpleQueue[IndexStore] = SimpleQueue()
        for store in stores:
            self._free.put(store)

    def map(self, function: Callable[[IndexStore, T], R], items: Sequence[T]) -> Iterator[R]:
        """Yield the results in the items' order."""

        def work(item: T) -> R:
            store = self._free.get()
            try:
                return function(store, item)
            finally:
                self._free.put(store)

        return self._threads.map(work, items)


@contextmanager
def workers(index: IndexStore) -> Iterator[Workers]:
    """Open connections beside the index's own, and close them at the end."""
    n = min(MOST_THREADS, 2 * (os.cpu_count() or 1))
    stores: list[IndexStore] = []
    threads = ThreadPoolExecutor(n, thread_name_prefix="lookalike-duplicates")
    try:
        for _ in range(n):
            table = index.table.on(index.table.connection.open_another())
            stores.append(IndexStore(table))
        yield Workers(threads, stores)
    finally:
        threads.shutdown(cancel_futures=True)
        for store in stores:
            store.table.connection.close()
