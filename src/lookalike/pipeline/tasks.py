"""Threads that work on one job, joined by bounded channels; if one fails, all stop."""

import queue
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

_LOOK_SECONDS = 0.1
_END: Any = object()


class Stopped(Exception):
    """Raised in threads of a group that has stopped; never leaves the group."""


class Channel(Generic[T]):
    """A bounded queue between threads of a group."""

    def __init__(self, size: int, producers: int, stop: threading.Event) -> None:
        self._queue: queue.Queue[T] = queue.Queue(size)
        self._stop = stop
        self._lock = threading.Lock()
        self._producers = producers

    def put(self, item: T) -> None:
        """Add an item; wait while the channel is full. Raises Stopped."""
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
        raise Stopped

    def close(self) -> None:
        """Tell that one producer is done; after the last one, the channel ends."""
        with self._lock:
            self._producers -= 1
            last = self._producers == 0
        if last:
            self.put(_END)

    def take(self, limit: int, seconds: float) -> list[T]:
        """Take up to `limit` items, those that come within seconds of the first; none at the end.

        Raises Stopped.
        """
        taken: list[T] = []
        end: float | None = None
        while len(taken) < limit and (end is None or time.monotonic() < end):
            if self._stop.is_set():
                raise Stopped
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if item is _END:
                self.put(item)  # for the next call
                break
            taken.append(item)
            end = end or time.monotonic() + seconds
        return taken

    @property
    def is_empty(self) -> bool:
        """Whether the channel is empty right now."""
        return self._queue.empty()

    def __iter__(self) -> Iterator[T]:
        """Take items until the channel ends. Raises Stopped."""
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                continue
            if item is _END:
                self.put(item)  # for the other consumers
                return
            yield item
        raise Stopped


class TaskGroup:
    """The threads of one job; leaving the `with` block waits for them.

    The first exception in a thread or in the block stops all threads and is raised.
    """

    def __init__(self) -> None:
        self.stop = threading.Event()
        """Set when all threads should stop."""
        self._threads: list[tuple[threading.Thread, threading.Event, bool]] = []
        self._errors: list[BaseException] = []
        self._at_stop: list[Callable[[], object]] = []

    def channel(self, size: int, *, producers: int = 1) -> Channel[Any]:
        """Create a channel of at most `size` items that ends when its producers are done."""
        return Channel(size, producers, self.stop)

    def at_stop(self, action: Callable[[], object]) -> None:
        """Call a short action when the group stops, to unblock a thread that waits."""
        self._at_stop.append(action)

    def check(self) -> None:
        """Raise Stopped if the group has stopped."""
        if self.stop.is_set():
            raise Stopped

    def start(self, name: str, work: Callable[[], None], *, may_stay: bool = False) -> None:
        """Run `work` in a new thread.

        may_stay: when the group stops, do not wait for the thread, because it waits for someone
        else.
        """
        ended = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(work, ended), name=f"lookalike-{name}", daemon=True
        )
        self._threads.append((thread, ended, may_stay))
        thread.start()

    def _run(self, work: Callable[[], None], ended: threading.Event) -> None:
        try:
            work()
        except Stopped:
            return
        # Any exception is raised again on leaving the group.
        except BaseException as error:  # noqa: BLE001
            self._errors.append(error)
            self._stop_all()
        finally:
            ended.set()

    def _join(self) -> None:
        # Before Python 3.13, an interrupted Thread.join treats the thread as ended.
        for thread, ended, may_stay in self._threads:
            while thread.is_alive() and not (may_stay and self.stop.is_set()):
                ended.wait(_LOOK_SECONDS)

    def _stop_all(self) -> None:
        self.stop.set()
        for action in self._at_stop:
            action()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if error is not None:
            self._stop_all()
        try:
            self._join()
        except BaseException:  # interrupted
            self._stop_all()
            self._join()
            raise
        if self._errors and (error is None or isinstance(error, Stopped)):
            raise self._errors[0]
