"""Threads that ask the database side by side."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

MOST_THREADS = 4


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """Start threads, and at the end drop what they have not begun."""
    n = min(MOST_THREADS, 2 * (os.cpu_count() or 1))
    threads = ThreadPoolExecutor(n, thread_name_prefix="lookalike-duplicates")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)
