"""A lock that any number of readers share, and writers have to themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class SharedLock:
    """Readers share it; a writer waits for them, and readers who come later wait for the writer."""

    def __init__(self) -> None:
        self._condition = Condition()
        self._readers = 0
        self._writers = 0
        self._is_writing = False

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Share it in a `with` block."""
        with self._condition:
            while self._writers:
                self._condition.wait()
            self._readers += 1
        try:
            yield
        finally:
            with self._condition:
                self._readers -= 1
                self._condition.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Have it alone in a `with` block."""
        with self._condition:
            self._writers += 1
            try:
                while self._readers or self._is_writing:
                    self._condition.wait()
            except BaseException:
                self._writers -= 1
                self._condition.notify_all()
                raise
            self._is_writing = True
        try:
            yield
        finally:
            with self._condition:
                self._is_writing = False
                self._writers -= 1
                self._condition.notify_all()
