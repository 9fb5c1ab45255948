"""The values that lookalike takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot")
Level = Literal["strong", "weak", "chance"]


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    similarity: by the collection's metric, larger is nearer: the cosine of the two embeddings,
    from -1 to 1; the dot product; or, for euclidean, the distance with a minus sign.
    level: "strong", "weak", or "chance" for what is no more similar than pictures are that have
    nothing to do with the query; None where that is not known, as for mixes of images and words.
    percentile: how many of 100 random pairs of the collection are less similar than this; None for
    mixes of images and words, and for fewer than 20 images.
    path: of the image's file; None where only its embedding is stored. attributes: None where they
    were not asked for.
    """

    id: int
    image_name: str
    similarity: float
    level: Level | None = None
    percentile: float | None = None
    path: Path | None = None
    attributes: Mapping[str, Any] | None = None


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

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class StoredFailure:
    """A failure on record; size in bytes and mtime_ns are None for a file out of reach.

    seen_at: by the server's clock, in UTC.
    """

    path: Path
    reason: str
    size: int | None
    mtime_ns: int | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `add` did, in files.

    added: embedded and stored for the first time. updated: changed, and embedded again. reused:
    new files of the same bytes as a stored one, whose embedding was copied. unchanged: stored
    already. removed: rows whose files are gone, if pruning was asked for; gone: how many there are
    if it was not. moved: new files of the bytes of a stored one that is gone; their rows have the
    new paths.
    failed: files that could not be read; nothing of them is stored. failed_before: files that
    failed in an earlier run and are as they were, and so were left alone.
    seconds: wall-clock time of the whole call. stages: images per second that each stage of the
    pipeline has made of its own working time; the slowest is the bottleneck.
    """

    added: int
    updated: int
    reused: int
    unchanged: int
    removed: int
    failed: tuple[Failure, ...]
    failed_before: tuple[Failure, ...]
    seconds: float
    stages: Mapping[str, float]
    gone: int = 0
    moved: int = 0

    @property
    def images_per_second(self) -> float:
        """Images stored per second."""
        stored = self.added + self.updated + self.reused
        return stored / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class AttributesReport:
    """What storing a file of attributes did.

    rows: of the file. stored: images whose attributes it has set. unmatched: its rows whose image
    is not stored, each as "line 7: boot.png". without: stored images that the file has no row of.
    kinds: the attributes, and what their values are, with those stored before: text, number,
    boolean, list, or several of them as number/text.
    """

    rows: int
    stored: int
    unmatched: tuple[str, ...]
    without: int
    kinds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """The last `add` to a collection; times are by the server's clock, in UTC.

    unchanged: with those that were moved. ended_at is None while it goes on, and if it was killed;
    error says what has cut it short.
    """

    started_at: datetime
    ended_at: datetime | None
    added: int
    updated: int
    reused: int
    unchanged: int
    failed: int
    removed: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a search through the index looks, as training has measured it.

    n_probes and probe_gap: at most so many cells are read, and of these the ones that suit the
    query at most so much worse than the best. rescored: so many of the best estimates are compared
    exactly for up to 10 results; 0 where exact search costs less. recall: the share of the true 10
    nearest that stored embeddings have found so, with those as near as the tenth but for a
    thousandth; None where nobody has measured it. target_recall: what was asked for.
    """

    n_probes: int
    probe_gap: float
    rescored: int
    recall: float | None
    target_recall: float

    @property
    def is_exact(self) -> bool:
        """Whether comparing every embedding costs less than what reaches the target."""
        return self.rescored == 0


@dataclass(frozen=True, slots=True)
class Status:
    """What a collection holds.

    model: None for embeddings that users bring. precision: what that model computes in on this
    machine. size: bytes on disk of all its tables, as the server counts them, which lags behind by
    seconds. indexed: rows that the index knows; 0 while there is none and search is exact. plan:
    how a search goes through the index, and what that finds; None while there is none.
    """

    name: str
    rows: int
    dim: int
    metric: Metric
    model: str | None
    precision: str | None
    size: int
    indexed: int
    n_cells: int
    plan: Plan | None
    failures: int
    last_run: Run | None


@dataclass(frozen=True, slots=True)
class CollectionRemoval:
    """What went when a collection was deleted, or in a dry run would go; never a file of an image.

    rows: of the collection's table, 0 where that was gone already. tables: the names of what is
    dropped. keeps_table: whether the collection's table itself stays.
    """

    name: str
    rows: int
    tables: tuple[str, ...]
    keeps_table: bool
    is_dry_run: bool


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
    def is_consistent(self) -> bool:
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

    plan: "exact", "codes" (an index of one cell), "cells and codes" or, of a filtered search,
    "filter first". measured: how far a search through the index looks, and what that finds; None
    where there is no index. analysis: the server's own account of the statement (EXPLAIN ANALYZE),
    with the rows that it has read.
    """

    plan: str
    measured: Plan | None
    steps: tuple[Step, ...]
    analysis: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """Result of screening one image.

    image: as it was given. matches: what it resembles, best first; none where it is clean. error:
    why it could not be judged.
    """

    image: Any
    matches: tuple[Match, ...]
    error: str | None

    @property
    def is_clean(self) -> bool:
        """Whether it was judged and resembles nothing."""
        return not self.matches and self.error is None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold suggested by examples, and how it does on them.

    false_positive_rate: of the images that should not match, the share that does.
    false_negative_rate: of those that should, the share that does not. positives, negatives: how
    many there were of each.
    """

    min_similarity: float
    false_positive_rate: float
    false_negative_rate: float
    positives: int
    negatives: int


Tier = Literal["identical", "near-duplicate", "similar"]
TIERS: tuple[Tier, ...] = ("identical", "near-duplicate", "similar")
KeepRule = Literal["best", "oldest", "largest"]
KEEP_RULES: tuple[KeepRule, ...] = ("best", "oldest", "largest")
Orientations = Literal["auto", "upright", "all"]
ORIENTATIONS: tuple[Orientations, ...] = ("auto", "upright", "all")


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """An image of a group of duplicates.

    path: None where only its embedding is stored. content_hash: the SHA-256 of the file's bytes.
    size in bytes, width and height in pixels: None where they are not known. similarity: of its
    embedding to that of the image to keep. tier: how it resembles that one; None for itself.
    """

    id: int
    image_name: str
    path: Path | None
    content_hash: bytes | None
    size: int | None
    width: int | None
    height: int | None
    similarity: float
    tier: Tier | None


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """An image to keep and its duplicates, the closest tier first; each resembles that image."""

    keep: DuplicateImage
    duplicates: tuple[DuplicateImage, ...]

    @property
    def tier(self) -> Tier:
        """The loosest tier in the group."""
        tiers = {image.tier for image in self.duplicates}
        return next(tier for tier in reversed(TIERS) if tier in tiers)


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file that was deleted or moved, its size in bytes, and where it is now, if known."""

    id: int
    path: Path
    size: int
    moved_to: Path | None


@dataclass(frozen=True, slots=True)
class RemovalReport:
    """What was done about duplicates, or would be.

    failed: files that stay, and their rows. without_file: ids of duplicates that have no file; they
    stay.
    """

    removed: tuple[RemovedFile, ...]
    failed: tuple[Failure, ...]
    without_file: tuple[int, ...]
    is_dry_run: bool

    @property
    def size(self) -> int:
        """Bytes of the removed files."""
        return sum(file.size for file in self.removed)
