"""How long steps tell what they are doing."""

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the step in plain words, how much is done and the total (0 when unknown)."""


def silent(step: str, done: int, total: int) -> None:
    """Tells nobody."""
