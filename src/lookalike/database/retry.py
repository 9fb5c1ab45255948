"""What a lost connection or a held lock has cut short is done again, for a while."""

import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    stop_when_event_set,
    wait_random_exponential,
)
from tenacity.nap import sleep_using_event

from lookalike.core.errors import ConnectionFailed
from lookalike.database.errors import Busy, ConnectionLost, DuplicateKey, Unavailable

T = TypeVar("T")

RETRY_SECONDS = 60.0
"""A cluster has a new primary, and a restarted server its tables, in less."""

TRANSIENT = (ConnectionLost, Busy, DuplicateKey, Unavailable)
"""Errors that the same transaction may not meet again."""


class Persistence:
    """Runs what may be run again until it is done; lost connections are replaced by the pool.

    Actions must be whole transactions, or change nothing. timeout: seconds after which the error
    is raised. stop: an event after which nothing is tried again. notify: told in one line that the
    database is waited for.
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
        event = stop or threading.Event()
        self._retrying = Retrying(
            retry=retry_if_exception_type(TRANSIENT),
            wait=wait_random_exponential(multiplier=0.05, max=3),
            stop=stop_after_delay(timeout) | stop_when_event_set(event),
            sleep=sleep_using_event(event),
            before_sleep=self._tell,
            reraise=True,
        )

    def run(self, action: Callable[[], T]) -> T:
        """Return the action's result; raises its error after the timeout."""
        return self._retrying(action)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, ConnectionFailed) and state.attempt_number == 2:
            # It is not back at once.
            self._notify(f"{error} Retrying for {self._timeout:g} seconds.")
