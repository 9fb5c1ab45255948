"""Record a search's steps, for `explain`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lookalike.core.types import Step
from lookalike.dialects import Statement


@dataclass
class Touched:
    """Number of rows that a step read."""

    rows: int | None = None


@dataclass
class Trace:
    """The steps of a search, for `explain`."""

    steps: list[Step] = field(default_factory=list)
    statement: Statement | None = None

    @contextmanager
    def step(self, name: str, statement: Statement | None = None) -> Iterator[Touched]:
        touched = Touched()
        started = time.perf_counter()
        yield touched
        milliseconds = (time.perf_counter() - started) * 1000
        self.statement = statement or self.statement
        sql = None if statement is None else statement.sql
        self.steps.append(Step(name, milliseconds, touched.rows, sql))
