"""The documents of collections, jobs, duplicates and screenings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, FiniteFloat

from lookalike.web.api.image_schemas import Ids, Links
from lookalike.web.api.schemas import Document, MatchDocument, RowId, Upload, Url, Vector

Tier = Literal["identical", "near-duplicate", "similar"]


class JobDocument(BaseModel):
    """Work that takes longer than a request."""

    id: str
    kind: str
    collection: str
    what: str = Field(description="What it works on, such as a folder.")
    state: Literal["running", "done", "failed", "stopped"]
    step: str = Field(description="What it does now.")
    done: int
    total: int | None
    seconds: float
    started_at: datetime
    error: str
    result: dict[str, Any] | None = Field(None, description="What it brought, once it is done.")
    links: dict[str, str] = Field(description="URLs of the job `self` and of its `events`.")


class JobList(BaseModel):
    """The jobs of a server, the last first."""

    jobs: list[JobDocument]


class DuplicatesRequest(Document):
    """A search for duplicates, as in `Collection.duplicates.find`."""

    min_similarity: FiniteFloat | None = None
    tier: Tier = "similar"
    keep: Literal["best", "oldest", "largest"] = "best"
    orientations: Literal["auto", "upright", "all"] = "auto"


class DuplicateImageDocument(BaseModel):
    """An image in a group of duplicates; see `lookalike.DuplicateImage`."""

    id: int
    image_name: str
    path: str | None
    content_hash: str | None
    size: int | None
    width: int | None
    height: int | None
    similarity: float
    tier: Tier | None = Field(description="null for the image to keep")
    copy_of: int | None
    links: Links


class DuplicateGroupDocument(BaseModel):
    """An image to keep, and its duplicates."""

    name: str
    number: int
    tier: Tier
    keep: DuplicateImageDocument
    duplicates: list[DuplicateImageDocument]


class DuplicatesResponse(BaseModel):
    """The result of the last search for duplicates."""

    job: JobDocument
    groups: list[DuplicateGroupDocument] | None = Field(description="null until it is done")
    total: int | None = Field(description="How many groups there are in all.")


class TrashRequest(Document):
    """Duplicates whose files to move to the system's trash."""

    ids: Ids


class FailureDocument(BaseModel):
    """A file, and why it failed."""

    path: str
    reason: str


class TrashResponse(BaseModel):
    """What was moved to the trash, and what stayed."""

    removed: list[int] = Field(description="Ids of the images.")
    size: int = Field(description="Bytes of their files.")
    failed: list[FailureDocument]
    without_file: list[int] = Field(description="Ids of images without a file, which stay.")
    undo: str | None = Field(description="POST /api/v1/undo/{undo} puts them back, for a while.")


class DistinctRequest(Document):
    """Images that are not duplicates of one another."""

    ids: list[RowId] = Field(min_length=2, max_length=1000)


class ScreenRequest(Document):
    """What to screen against a collection, as in `Collection.screen`."""

    urls: list[Url] = Field(default_factory=list, max_length=32)
    ids: list[RowId] = Field(
        default_factory=list, description="Stored images; each is compared with all others."
    )
    vectors: list[Vector] = Field(default_factory=list)
    k: int = Field(5, ge=1, le=10_000)
    min_similarity: FiniteFloat | None = None


class ScreenForm(BaseModel):
    """Images to screen."""

    image: list[Upload] = Field(min_length=1)
    k: int = Field(5, ge=1, le=10_000)
    min_similarity: FiniteFloat | None = None


class ScreeningDocument(BaseModel):
    """The result of one image; see `lookalike.Screening`."""

    image: str | int | None = Field(
        description="Name of an uploaded file, URL or id; null for a vector."
    )
    is_clean: bool
    matches: list[MatchDocument]
    error: str | None = Field(description="Why it could not be checked.")


class ScreenResponse(BaseModel):
    """One result for each image: uploads, then urls, ids and vectors."""

    results: list[ScreeningDocument]
    min_similarity: float = Field(description="The threshold that was used.")


class StatusDocument(BaseModel):
    """A collection; see `lookalike.Status`."""

    name: str
    rows: int
    dim: int
    metric: Literal["cosine", "euclidean", "dot"]
    model: str | None
    precision: str | None
    size: int
    indexed: int
    n_cells: int
    plan: dict[str, Any] | None
    failures: int
    last_run: dict[str, Any] | None
    threshold: float | None
    attributes: list[dict[str, Any]]
    held: dict[str, Any] | None = Field(description="Its index in memory.")
    index: Literal["lookalike", "server"] | None = Field(description="Whose index searches use.")


class CollectionList(BaseModel):
    """The collections of the database, by name."""

    collections: list[StatusDocument]


class StoredFailureDocument(FailureDocument):
    """A file that could not be added, and has not been since."""

    size: int | None
    mtime_ns: int | None
    seen_at: datetime


class FailureList(BaseModel):
    """Files that could not be added."""

    failures: list[StoredFailureDocument]


class ServerStatus(BaseModel):
    """The server."""

    version: str
    collection: str = Field(description="The collection of requests that name none.")
    can_write: bool = Field(description="Whether your token may change things.")
    roots: list[str] = Field(description="Folders whose images may be added.")
    waiting: dict[str, int] = Field(description="How much runs or waits, by queue.")
    held: dict[str, dict[str, Any]] = Field(description="Indexes in memory, by collection.")
    limits: dict[str, float]
