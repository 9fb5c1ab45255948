"""Progress callbacks of long steps."""

from collections.abc import Callable

Progress = Callable[[int, int | None], None]
"""Called with (done, total); total is None while it is unknown."""

StepProgress = Callable[[str, int, int], None]
"""Called with (name of the step, done, total); total is 0 while it is unknown."""


def silent(step: str, done: int, total: int) -> None:
    """Ignore progress."""
