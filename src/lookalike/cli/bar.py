"""The progress bar: what is done, of how many, how fast, and the time left."""

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

SPEED_SECONDS = 20.0
"""Time over which the speed is averaged."""


class SpeedColumn(ProgressColumn):
    """Speed, as 21.3/s; empty before anything is done."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.1f}/s" if speed else "", style="progress.data.speed")


def make_bar(unit: str, *, is_quiet: bool) -> Progress:
    """Return a bar on standard error, disabled if that is no terminal; unit: what is counted."""
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        SpeedColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=is_quiet or not console.is_terminal,
        transient=True,
        speed_estimate_period=SPEED_SECONDS,
    )
