"""Several threads at one work: an error in any of them is raised in the caller, and ends all."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from lookalike.core.threads import available_cores, one_thread

T = TypeVar("T")
R = TypeVar("R")

MOST_THREADS = 8
"""One thread reads embeddings about as fast as these encode them; each holds some 50 MB."""


def overlapped(items: Generator[T, None, None], work: Callable[[T], R]) -> Generator[R, None, None]:
    """Yield the results of the work on each item, in the order of the items.

    One thread makes the items, and a thread for each core works on them; few items wait.
    """
    n_threads = min(available_cores(), MOST_THREADS)
    working: deque[Future[R]] = deque()
    try:
        with one_thread(), ThreadPoolExecutor(1) as maker, ThreadPoolExecutor(n_threads) as workers:
            coming = maker.submit(next, items, None)
            while (item := coming.result()) is not None:
                coming = maker.submit(next, items, None)
                working.append(workers.submit(work, item))
                if len(working) > n_threads:
                    yield working.popleft().result()
            while working:
                yield working.popleft().result()
    finally:
        items.close()


def side_by_side(act: Callable[[T], object], mine: Iterable[T], others: Iterable[T]) -> None:
    """Act on some items in this thread, and on others in another one at the same time."""
    is_over = threading.Event()

    def run(items: Iterable[T]) -> None:
        try:
            for item in items:
                if is_over.is_set():
                    return
                act(item)
        except BaseException:
            is_over.set()
            raise

    with ThreadPoolExecutor(1) as thread:
        try:
            other = thread.submit(run, others)
            run(mine)
            other.result()
        finally:
            is_over.set()
