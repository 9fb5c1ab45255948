"""How many threads numpy multiplies in: one, for what is too little to share."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from lookalike.shared_state import SharedState


def one_thread() -> AbstractContextManager[None]:
    """Have numpy multiply in one thread, in a `with` block that has little to multiply.

    Other threads would win nothing, and they wait for more to do by spinning. It holds for the
    whole process, and blocks of several threads may overlap.
    """
    return _ONE_THREAD.held()


def _limit() -> Callable[[], object]:
    limit = _libraries().limit(limits=1)
    end: Callable[[], object] = limit.restore_original_limits
    return end


@cache
def _libraries() -> Any:
    """Found once: to look for the libraries takes longer than to tell them."""
    return ThreadpoolController().select(user_api="blas")


_ONE_THREAD = SharedState(_limit)
