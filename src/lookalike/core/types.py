"""The values that lookalike takes and returns."""

import base64
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from lookalike.core.arguments import check_int
from lookalike.core.errors import InputError

Metric = Literal["cosine", "euclidean", "dot"]
METRICS: tuple[Metric, ...] = ("cosine", "euclidean", "dot")
Level = Literal["strong", "weak", "chance"]


@dataclass(frozen=True, slots=True)
class Match:
    """One search result.

    Attributes:
        id: Row id; of a table of your own the key, or its number if the key is no integer.
        image_name: Name of the row.
        similarity: By the collection's metric; larger is nearer. The cosine, from -1 to 1; the dot
            product; or, for euclidean, the negative distance.
        level: "strong", "weak", or "chance" if it is no more similar than unrelated images; None if
            unknown, as for mixes of images and text.
        percentile: Percentage of random pairs of the collection that are less similar; None for
            mixes of images and text, and for fewer than 20 images.
        path: The image's file; None if only its embedding is stored.
        attributes: None unless requested.
        key: The key of a row in a table of your own, if it is no integer: text, bytes or another
            value; None otherwise.
    """

    id: int
    image_name: str
    similarity: float
    level: Level | None = None
    percentile: float | None = None
    path: Path | None = None
    attributes: Mapping[str, Any] | None = None
    key: Any = None


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """A stored image.

    Attributes:
        id: Row id.
        image_name: Name of the row.
        path: The image's file; None if only its embedding was added.
    """

    id: int
    image_name: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """The file of a stored image, as it was when it was added.

    Attributes:
        path: Where it is.
        size: In bytes.
        modified: When it was last changed, in UTC, to the microsecond.
        content_hash: SHA-256 of its bytes.
    """

    path: Path
    size: int
    modified: datetime
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class ValueCount:
    """A value of an attribute, and how many images have it.

    Attributes:
        value: Text, a number, True or False; of lists one of their values.
        rows: Number of rows.
    """

    value: Any
    rows: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be processed.

    Attributes:
        path: The file.
        reason: Why it failed.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Plan:
    """How far a search through the index looks, as measured by training.

    Attributes:
        n_probes: Maximum number of cells to read.
        probe_gap: Largest distance of a cell's score from the best cell's; other cells are skipped.
        rescored: How many of the best estimates to compare exactly for up to 10 results; 0 if exact
            search is cheaper.
        recall: Measured share of the true 10 nearest that are found; a result within a thousandth
            of the tenth's similarity also counts. None if not measured.
        target_recall: The recall that was requested.
    """

    n_probes: int
    probe_gap: float
    rescored: int
    recall: float | None
    target_recall: float

    @property
    def is_exact(self) -> bool:
        """Whether exact search is cheaper than reaching the target through the index."""
        return self.rescored == 0


@dataclass(frozen=True, slots=True)
class IndexSizes:
    """From how many rows an index is trained, and from how many it has several cells.

    Attributes:
        fewest_rows: Smaller collections are searched exactly: fetching all embeddings is fast.
        rows_for_cells: Smaller collections have one cell: reading all codes is cheap.
    """

    fewest_rows: int = 200
    rows_for_cells: int = 5000

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            check_int(name, value)
            if value < 1:
                raise InputError(f"{name} is {value}; give 1 or more")


INDEX_SIZES = IndexSizes()

IndexKind = Literal["lookalike", "server"]
"""Whose index a collection has: lookalike's own, or the one of the server."""

HeldState = Literal["loading", "ready", "waiting", "refused", "closed"]
"""What an index in memory does; see `HeldStatus`."""

CopyState = Literal["new", "unfinished", "equal"]
"""What a copy of a collection was before; see `CollectionCopy`."""

Precision = Literal["float32", "bfloat16", "int8"]
"""Of embeddings in memory."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search.

    Attributes:
        name: Name of the step.
        milliseconds: Duration.
        rows: Number of rows that it touched, if known.
        sql: Its SQL, if any.
    """

    name: str
    milliseconds: float
    rows: int | None
    sql: str | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a search was executed.

    Attributes:
        plan: "exact", "codes" (an index of one cell), "cells and codes" or, for a filtered search,
            "filter first".
        measured: How far a search through the index looks; None without an index.
        steps: The steps, in order.
        analysis: The server's EXPLAIN ANALYZE of the statement, with the rows read.
        matches: The results.
    """

    plan: str
    measured: Plan | None
    steps: tuple[Step, ...]
    analysis: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Screening:
    """Result of screening one image.

    Attributes:
        image: The image, as given.
        matches: Similar stored images, best first; empty if the image is clean.
        error: Why the image could not be checked, or None.
    """

    image: Any
    matches: tuple[Match, ...]
    error: str | None

    @property
    def is_clean(self) -> bool:
        """Whether the image was checked and nothing matches."""
        return not self.matches and self.error is None


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold suggested by examples, and its error rates on them.

    Attributes:
        min_similarity: The threshold.
        false_positive_rate: Share of the negative examples that match.
        false_negative_rate: Share of the positive examples that do not match.
        positives: Number of positive examples.
        negatives: Number of negative examples.
        enough_positives: From so many on the rates can be relied on.
        enough_negatives: The same of negatives.
    """

    min_similarity: float
    false_positive_rate: float
    false_negative_rate: float
    positives: int
    negatives: int
    enough_positives: int
    enough_negatives: int


Tier = Literal["identical", "near-duplicate", "similar"]
TIERS: tuple[Tier, ...] = ("identical", "near-duplicate", "similar")
KeepRule = Literal["best", "oldest", "largest"]
KEEP_RULES: tuple[KeepRule, ...] = ("best", "oldest", "largest")
Orientations = Literal["auto", "upright", "all"]
ORIENTATIONS: tuple[Orientations, ...] = ("auto", "upright", "all")


@dataclass(frozen=True, slots=True)
class DuplicateImage:
    """An image in a group of duplicates.

    Attributes:
        id: Row id.
        image_name: Name of the row.
        path: The image's file; None if only its embedding is stored.
        content_hash: SHA-256 of the file's bytes, or None.
        size: File size in bytes, if known.
        width: In pixels, if known.
        height: In pixels, if known.
        similarity: Similarity of its embedding to that of the image to keep.
        tier: How it resembles the image to keep; None for that image itself. "identical" also if
            it has the same bytes as another duplicate of the group.
        copy_of: The id of that other duplicate; None for all others.
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
    copy_of: int | None = None


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """An image to keep and its duplicates.

    Attributes:
        keep: The image to keep.
        duplicates: Images that resemble it, closest first.
    """

    keep: DuplicateImage
    duplicates: tuple[DuplicateImage, ...]

    @property
    def tier(self) -> Tier:
        """The loosest tier in the group."""
        tiers = {image.tier for image in self.duplicates}
        return next(tier for tier in reversed(TIERS) if tier in tiers)

    def keeping(self, row_id: int) -> "DuplicateGroup":
        """Return the group with another of its images as the one to keep.

        How the others resemble that one was not compared: their tier is the looser of both, and
        their similarity the smaller. Those with its bytes are identical.

        Raises InputError for an image that is not in the group.
        """
        if row_id == self.keep.id:
            return self
        keep = next((image for image in self.duplicates if image.id == row_id), None)
        if keep is None:
            raise InputError(f"image {row_id} is not in the group {self.name}")
        own = {image.id: image.tier for image in self.duplicates}
        former = replace(self.keep, tier=keep.tier, similarity=keep.similarity)
        seen = []
        for image in (former, *(each for each in self.duplicates if each is not keep)):
            # A copy is as alike as what it is a copy of.
            tiers = [own.get(each.copy_of or each.id, each.tier) for each in (image, keep)]
            tier = max((each for each in tiers if each), key=TIERS.index)
            similarity = min(image.similarity, keep.similarity)
            if image.content_hash and image.content_hash == keep.content_hash:
                tier, similarity = "identical", self.keep.similarity
            seen.append(replace(image, tier=tier, similarity=similarity, copy_of=None))
        seen.sort(key=lambda image: (TIERS.index(image.tier or "similar"), -image.similarity))
        kept = replace(keep, tier=None, similarity=self.keep.similarity, copy_of=None)
        return DuplicateGroup(kept, _with_copies(kept, seen))

    @property
    def number(self) -> int:
        """The id of the image to keep."""
        return self.keep.id

    @property
    def name(self) -> str:
        """The number and a check of the images, such as 17-k7xq: it changes when the group does.

        Similar images beside stricter ones have a check of their own, such as 17-k7xq-m2pa, so that
        a search without the tier "similar" gives the same name up to there.
        """
        strict = [image for image in self.duplicates if image.tier != "similar"]
        similar = [image for image in self.duplicates if image.tier == "similar"]
        checks = [_check((self.keep, *part)) for part in (strict, similar) if part]
        return "-".join([str(self.number), *checks])


def _with_copies(
    keep: DuplicateImage, images: Sequence[DuplicateImage]
) -> tuple[DuplicateImage, ...]:
    """Mark images with the bytes of an earlier one, other than the one to keep, as its copies."""
    first: dict[bytes, int] = {}
    marked = []
    for image in images:
        content = image.content_hash
        if content and content != keep.content_hash:
            original = first.setdefault(content, image.id)
            if original != image.id:
                image = replace(image, tier="identical", copy_of=original)
        marked.append(image)
    return tuple(marked)


def _check(images: Sequence[DuplicateImage]) -> str:
    """Return four letters and digits that depend on images' ids, files, bytes and tiers."""
    digest = hashlib.sha256()
    for image in sorted(images, key=lambda image: image.id):
        path = b"" if image.path is None else os.fsencode(image.path)
        content = (image.content_hash or b"").hex()
        facts = f"{image.id} {content} {image.tier} {image.copy_of}".encode()
        digest.update(facts + b"\0" + path + b"\0")
    return base64.b32encode(digest.digest()).decode().lower()[:4]
