"""Count the usable cores, and limit BLAS to one thread."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from lookalike.core.shared import SharedState

_limit_of_cores = [sys.maxsize]


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return min(cores, _limit_of_cores[-1])


def limit_cores(cores: int) -> None:
    """Let `available_cores` return no more than so many in this process, from now on."""
    _limit_of_cores.append(cores)


def one_thread() -> AbstractContextManager[None]:
    """Limit BLAS to one thread in a `with` block with small matrix products.

    More threads would gain nothing there and burn CPU while they wait. The limit holds for the
    whole process; blocks of several threads may overlap.
    """
    return _ONE_THREAD.held()


def _limit() -> Callable[[], object]:
    limit = _libraries().limit(limits=1)
    end: Callable[[], object] = limit.restore_original_limits
    return end


@cache
def _libraries() -> Any:
    """Find the libraries, once: this takes longer than setting the limit."""
    return ThreadpoolController().select(user_api="blas")


_ONE_THREAD = SharedState(_limit)
