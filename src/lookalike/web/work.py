"""Blocking work, off the event loop: in threads, with a bounded queue."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Any, ParamSpec, Protocol, TypeVar

from lookalike.web.cores import share_one_core, use_all_cores
from lookalike.web.problems import Busy

P = ParamSpec("P")
T = TypeVar("T")

_RETRY_SECONDS = 2


class Queue:
    """Threads with a bounded queue.

    Args:
        name: Name of the threads.
        threads: How much is done at the same time.
        waiting: How much may wait; more is refused.
        start: Called first in each thread.
    """

    def __init__(
        self, name: str, *, threads: int, waiting: int, start: Callable[[], None] = use_all_cores
    ) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name, initializer=start)
        self._most = threads + waiting
        self._counting = Lock()
        self.size = 0
        self.refused = 0

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns. Raises Busy if too much is waiting already."""
        with self._counting:
            if self.size >= self._most:
                self.refused += 1
                raise Busy(_RETRY_SECONDS)
            self.size += 1
        future = self._pool.submit(partial(work, *args, **kwargs))
        # The work counts until it ends, also if its client has gone.
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def _done(self, _: Future[Any]) -> None:
        with self._counting:
            self.size -= 1

    def close(self) -> None:
        """End the threads once they have done what was asked."""
        self._pool.shutdown()


class Run(Protocol):
    """Does work in a queue."""

    async def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the work returns. Raises Busy."""


class Work:
    """The queues of a server: searches, which wait for MySQL, and work that computes.

    Attributes:
        searches: For what needs no model.
        embedding: For what decodes images or runs a model.
        fetching: For the same, where images are downloaded first: other servers may be slow.
        pictures: For thumbnails: a page asks for many at once, and no search waits for them.
    """

    def __init__(self, *, searches: int = 8, embedding: int = 2, waiting: int = 64) -> None:
        self.searches = Queue("search", threads=searches, waiting=4 * waiting, start=share_one_core)
        self.embedding = Queue("embed", threads=embedding, waiting=waiting)
        self.fetching = Queue("fetch", threads=embedding, waiting=waiting // 4)
        self.pictures = Queue("picture", threads=2, waiting=16 * waiting)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what needs no model, such as a search by id or vector. Raises Busy."""
        return await self.searches.run(work, *args, **kwargs)

    async def embed(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what decodes images or runs a model. Raises Busy."""
        return await self.embedding.run(work, *args, **kwargs)

    def of(self, *, embeds: bool, fetches: bool) -> Run:
        """Return what does a search that embeds words or images, or fetches URLs, or neither."""
        if fetches:
            return self.fetching.run
        return self.embedding.run if embeds else self.searches.run

    async def decode(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what makes a thumbnail or a preview. Raises Busy."""
        return await self.pictures.run(work, *args, **kwargs)

    def queues(self) -> dict[str, Queue]:
        """Return the queues whose length tells how busy the server is, by name."""
        return {
            "searches": self.searches,
            "embedding": self.embedding,
            "fetching": self.fetching,
            "pictures": self.pictures,
        }

    def close(self) -> None:
        """End all threads once they have done what was asked."""
        self.pictures.close()
        self.searches.close()
        self.fetching.close()
        self.embedding.close()
