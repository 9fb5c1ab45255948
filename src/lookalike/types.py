"""The values that lookalike takes and returns."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Text:
    """A query in words: `photos.search(Text("a red bicycle"))`, for models that have text."""

    text: str


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    similarity: the cosine of the two embeddings, from -1 to 1; larger is nearer.
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
