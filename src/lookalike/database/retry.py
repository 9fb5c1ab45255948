"""Retry transactions after lost connections and lock timeouts."""

import threading
from collections.abc import Callable
from itertools import chain, repeat
from typing import TYPE_CHECKING, TypeVar

from lookalike.core.errors import ConnectionFailed
from lookalike.database.errors import Busy, ConnectionLost, DuplicateKey, Unavailable

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

RETRY_SECONDS = 60.0
"""A cluster has a new primary, and a restarted server its tables, in less."""

TRANSIENT = (ConnectionLost, Busy, DuplicateKey, Unavailable)
"""Errors that the same transaction may not meet again."""


class Persistence:
    """Retries actions; the pool replaces lost connections.

    Actions must be whole transactions, or change nothing.

    Args:
        timeout: How long to retry after the first failure, in seconds; then its error is raised.
        stop: An event that ends the retries.
        notify: Called with one line while the database does not answer.
    """

    def __init__(
        self,
        *,
        timeout: float = RETRY_SECONDS,
        stop: threading.Event | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._notify = notify
        self._timeout = timeout
        self._stop = stop or threading.Event()

    def run(self, action: Callable[[], T]) -> T:
        """Return the action's result; raises its error after the timeout."""
        try:
            return action()
        except TRANSIENT as error:
            return self._retry(action, error)

    def _retry(self, action: Callable[[], T], error: Exception) -> T:
        """Go on after a first attempt that failed with this error."""
        # Imported here because it takes longer than most searches.
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_delay,
            stop_when_event_set,
            wait_random_exponential,
        )
        from tenacity.nap import sleep_using_event

        def first() -> T:
            raise error

        attempts = chain([first], repeat(action))
        retrying = Retrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=wait_random_exponential(multiplier=0.05, max=3),
            stop=stop_after_delay(self._timeout) | stop_when_event_set(self._stop),
            sleep=sleep_using_event(self._stop),
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(lambda: next(attempts)())

    def _tell(self, state: "RetryCallState") -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ConnectionFailed) and state.attempt_number == 2:
            # It is not back at once.
            self._notify(f"{error} Retrying for {self._timeout:g} seconds.")
