"""What all of the processes of a round have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from lookalike.core.types import Metric
from tests.torture.journal import Journal

Rows = list[tuple[int, str]]
"""Ids and names."""


@dataclass(frozen=True)
class Target:
    """The collection that a round is about. folder: of the round, with its journals."""

    socket: Path
    database: str
    collection: str
    dim: int
    metric: Metric
    folder: Path

    @property
    def url(self) -> str:
        return f"mysql://root@localhost/{self.database}?unix_socket={self.socket}"

    @property
    def stop_file(self) -> Path:
        """Once it is there, all processes end after the action that they are at."""
        return self.folder / "stop"


class Lost(Exception):
    """The connection is gone, or not to be trusted any more; the error is in the journal."""


class Actor(ABC):
    """A process of a round: it connects and acts, again and again, and keeps a journal.

    name: its role and a number, which no other process of the round has.
    """

    def __init__(self, name: str, target: Target, journal: Journal, rng: Random) -> None:
        self.name = name
        self.target = target
        self.journal = journal
        self.rng = rng
        self._batches = self._batch_numbers()

    @abstractmethod
    def connect(self) -> None:
        """Connect anew. Raises Lost."""

    @abstractmethod
    def act(self) -> None:
        """Do one thing. Raises Lost."""

    def new_batch(self) -> str:
        """Return the name of a batch that there has never been."""
        return next(self._batches)

    def _batch_numbers(self) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"{self.name}.{number}"
