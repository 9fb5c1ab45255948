"""Several clients that search at once: in processes of their own, or in threads of this one."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.ways import Searcher, Way
from lookalike.core.vectors import FloatArray

CLIENTS = 4
SECONDS = 8.0

_Wait = Callable[[], object]


class Processes:
    """Clients in processes, each with a connection and, in memory, a copy of its own.

    memory: that of the largest of them once it has searched, in bytes.
    """

    def __init__(self, way: Way, queries: FloatArray, n: int = CLIENTS) -> None:
        context = multiprocessing.get_context("spawn")
        barrier = context.Barrier(n)
        self._ends: list[Connection] = []
        self._processes: list[Any] = []
        for number in range(n):
            ours, theirs = context.Pipe()
            own = _from(queries, number, n)
            arguments = (theirs, way, own, barrier.wait)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            theirs.close()
            self._processes.append(process)
            self._ends.append(ours)
        self.memory = max(end.recv() for end in self._ends)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for end in self._ends:
            end.close()
        for process in self._processes:
            process.join()

    def rate(self, seconds: float = SECONDS) -> float:
        """Return how many queries a second all answer together."""
        for end in self._ends:
            end.send(seconds)
        return float(sum(end.recv() for end in self._ends))


def _serve(end: Connection, way: Way, queries: FloatArray, wait: _Wait) -> None:
    with way.open() as opened:
        for query in queries[:20]:
            opened.search(query)
        end.send(psutil.Process().memory_info().rss)
        while True:
            try:
                seconds = end.recv()
            except EOFError:
                return
            end.send(_run(opened, queries, wait, seconds))


def by_threads(
    opened: Searcher, queries: FloatArray, n: int = CLIENTS, seconds: float = SECONDS
) -> float:
    """Return how many queries a second threads answer that share one way to search."""
    barrier = threading.Barrier(n)

    def client(number: int) -> float:
        return _run(opened, _from(queries, number, n), barrier.wait, seconds)

    with ThreadPoolExecutor(n) as threads:
        return sum(threads.map(client, range(n)))


def _run(opened: Searcher, queries: FloatArray, wait: _Wait, seconds: float) -> float:
    """Wait for the others, search for so long, and return how many queries a second."""
    wait()
    start = time.perf_counter()
    done = 0
    while (passed := time.perf_counter() - start) < seconds:
        opened.search(queries[done % len(queries)])
        done += 1
    return done / passed


def _from(queries: FloatArray, number: int, n: int) -> Any:
    """Return the queries in an order of which each client has another start."""
    first = number * len(queries) // n
    return [*queries[first:], *queries[:first]]
