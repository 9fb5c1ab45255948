"""Process-wide state that is held while any thread needs it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class SharedState:
    """Process-wide state, counted by its users.

    begin: starts the state and returns the function that ends it.
    """

    def __init__(self, begin: Callable[[], Callable[[], object]]) -> None:
        self._begin = begin
        self._end: Callable[[], object] | None = None
        self._lock = threading.Lock()
        self._blocks = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the state in a `with` block; blocks of several threads may overlap."""
        with self._lock:
            if self._end is None:
                self._end = self._begin()
            self._blocks += 1
        try:
            yield
        finally:
            with self._lock:
                self._blocks -= 1
                if not self._blocks and self._end is not None:
                    end, self._end = self._end, None
                    end()
