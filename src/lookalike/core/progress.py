"""How long steps report their progress."""

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Called with how much is done and how much there is, None while that is not known."""

StepProgress = Callable[[str, int, int], None]
"""Called with the step in plain words, how much of it is done and how much there is, 0 while that
is not known."""


def silent(step: str, done: int, total: int) -> None:
    """Report nothing."""
