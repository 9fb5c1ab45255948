"""The values that lookalike takes and returns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot")


@dataclass(frozen=True, slots=True)
class Text:
    """A query in words: `photos.search(Text("a red bicycle"))`, for models that have text."""

    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    similarity: by the collection's metric, larger is nearer: the cosine of the two embeddings,
    from -1 to 1; the dot product; or, for euclidean, the distance with a minus sign.
    """

    id: int
    image_name: str
    similarity: float


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A stored image; path is None where only its embedding was added."""

    id: int
    image_name: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be added, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `add` did.

    added: images embedded and stored for the first time.
    updated: images whose file had changed, embedded again.
    unchanged: images that were stored already.
    failed: files that could not be read; nothing of them is stored.
    seconds: wall-clock time of the whole call.
    """

    added: int
    updated: int
    unchanged: int
    failed: tuple[Failure, ...]
    seconds: float

    @property
    def images_per_second(self) -> float:
        """Images embedded per second."""
        return (self.added + self.updated) / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What a check of the index has found.

    rows: embeddings in the table. codes: rows of the index, 0 where there is none. missing: ids of
    embeddings that should have a code. stale: ids of codes that are not those of an embedding.
    """

    rows: int
    codes: int
    missing: tuple[int, ...]
    stale: tuple[int, ...]

    @property
    def is_true(self) -> bool:
        """Whether index and table are equal."""
        return not self.missing and not self.stale


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a search: its time in milliseconds, the rows it touched and its SQL, if any."""

    name: str
    milliseconds: float
    rows: int | None
    sql: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a search was done.

    plan: "exact", "codes" (an index of one cell) or "cells and codes". analysis: the server's own
    account of the statement (EXPLAIN ANALYZE), with the rows that it has read.
    """

    plan: str
    steps: tuple[Step, ...]
    analysis: str
    matches: tuple[Match, ...]
