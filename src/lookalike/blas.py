"""How many threads numpy multiplies in: one, for what is too little to share."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import ThreadpoolController


class _SharedLimit:
    """One thread as long as any block is entered; then as many as before the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._blas: Any = None
        self._limit: Any = None

    def enter(self) -> None:
        with self._lock:
            if not self._blocks:
                # Found once: to look for the libraries takes longer than to tell them.
                self._blas = self._blas or ThreadpoolController().select(user_api="blas")
                self._limit = self._blas.limit(limits=1)
            self._blocks += 1

    def leave(self) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                self._limit.restore_original_limits()


_LIMIT = _SharedLimit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Have numpy multiply in one thread, in a `with` block that has little to multiply.

    Other threads would win nothing, and they wait for more to do by spinning. It holds for the
    whole process, and blocks of several threads may overlap.
    """
    _LIMIT.enter()
    try:
        yield
    finally:
        _LIMIT.leave()
