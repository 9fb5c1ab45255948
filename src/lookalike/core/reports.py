"""Reports: what operations on a collection did, and the state it is in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Self

from lookalike.core.types import CopyState, Failure, HeldState, IndexKind, Metric, Plan, Precision


@dataclass(frozen=True, slots=True)
class StoredFailure:
    """A stored failure.

    Attributes:
        path: The file.
        reason: Why it failed.
        size: In bytes; None if the file could not be opened.
        mtime_ns: Modification time in nanoseconds; None if the file could not be opened.
        seen_at: When it failed, by the server's clock, in UTC.
    """

    path: Path
    reason: str
    size: int | None
    mtime_ns: int | None
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class AddReport:
    """Result of `add`, in files.

    Attributes:
        added: Embedded and stored for the first time.
        updated: Changed files that were embedded again.
        reused: New files with the bytes of a stored file, whose embedding was copied.
        unchanged: Already stored.
        removed: Rows deleted by `prune` because their files are gone.
        failed: Files that could not be read; nothing of them is stored.
        failed_before: Files skipped because they failed in an earlier run and have not changed.
        seconds: Wall-clock time of the call.
        stages: Images per second of each pipeline stage, by its working time; the slowest stage is
            the bottleneck.
        gone: Rows whose files are gone, counted when `prune` is off.
        moved: Moved files; their rows have the new paths.
        facts: Images whose facts were read and stored, with `facts`.
        passed_over: Number of files in the folders that are no images but something like it, by
            suffix: videos, documents, and RAW files without the extra `raw`.
        raw_remedy: The pip command that installs that extra, if RAW files were passed over.
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
    facts: int = 0
    passed_over: Mapping[str, int] = field(default_factory=dict)
    raw_remedy: str | None = None

    @classmethod
    def of_nothing(cls) -> Self:
        """Return the report of a run that found no file."""
        return cls(0, 0, 0, 0, 0, failed=(), failed_before=(), seconds=0.0, stages={})

    @property
    def images_per_second(self) -> float:
        """Images stored per second."""
        stored = self.added + self.updated + self.reused
        return stored / self.seconds if self.seconds > 0 else 0.0


@dataclass(frozen=True, slots=True)
class AttributesReport:
    """Result of storing attributes.

    Attributes:
        rows: Number of rows in the file.
        stored: Number of images whose attributes were set.
        unmatched: Rows whose image is not stored, each as "line 7: boot.png".
        without: Number of stored images that the file has no row for.
        kinds: Type of each attribute's values, including those stored before: text, number,
            boolean, list, or several, such as number/text.
    """

    rows: int
    stored: int
    unmatched: tuple[str, ...]
    without: int
    kinds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """The last `add` to a collection; times are by the server's clock, in UTC.

    Attributes:
        started_at: When it began.
        ended_at: When it ended; None while it runs, or if it was killed.
        added: Files embedded and stored for the first time.
        updated: Changed files that were embedded again.
        reused: New files whose embedding was copied.
        unchanged: Files already stored, including moved ones.
        failed: Files that could not be read.
        removed: Rows deleted because their files are gone.
        error: What interrupted it, or None.
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
class AttributeStatus:
    """An attribute of a collection.

    Attributes:
        name: Name of the attribute.
        kind: Kind of its values: text, number, boolean, list, or several, such as number/text.
        rows: Number of rows that have it.
    """

    name: str
    kind: str
    rows: int


@dataclass(frozen=True, slots=True)
class HeldStatus:
    """State of an index that this program holds in memory.

    Attributes:
        state: "loading"; "ready": it answers; "waiting": it will be loaded again in a moment;
            "refused": it cannot be held; or "closed". Unless it is ready, MySQL answers.
        codes: Number of codes.
        precision: Precision of the embeddings that it holds; None: none.
        nbytes: Memory that it takes, in bytes.
        refusal: Why it cannot be held; empty if it can.
    """

    state: HeldState
    codes: int
    precision: Precision | None
    nbytes: int
    refusal: str


@dataclass(frozen=True, slots=True)
class Status:
    """State of a collection.

    Attributes:
        name: Name of the collection.
        rows: Number of stored embeddings.
        dim: Length of an embedding.
        metric: Metric of the collection.
        model: Id of the model; None if users bring the embeddings.
        precision: Number type in which the model computes on this machine.
        size: Bytes on disk of all tables, from the server's statistics, which lag by seconds.
        indexed: Number of rows in the index; 0 if there is none and search is exact.
        n_cells: Number of cells of the index.
        plan: How searches use the index; None without an index.
        failures: Number of files on record as failed.
        last_run: The last `add`, if any.
        threshold: The stored `min_similarity` of `screen`; None if none is stored.
        attributes: Its attributes, by name.
        held: The index in this program's memory; None if it is not held.
        copy_of: What it is an unfinished copy of; None otherwise.
        index: Whose index searches use, "lookalike" or "server"; None if there is none.
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
    threshold: float | None
    attributes: tuple[AttributeStatus, ...]
    held: HeldStatus | None = None
    copy_of: str | None = None
    index: IndexKind | None = None


@dataclass(frozen=True, slots=True)
class CollectionCopy:
    """Result of copying a collection to another database; in a dry run, what would be done.

    Attributes:
        name: Name of the copy.
        rows: Number of rows of the collection.
        state: Of the copy before: "new"; "unfinished": this call went on with it; or "equal": it
            was finished already, and nothing was done.
        copied: Number of rows of images that were written.
        changed: How many of these were written again, as they had changed in the source meanwhile.
        without_index: Attributes that are indexed in the source, and cannot be in the copy.
        seconds: Wall-clock time of the call.
        is_dry_run: Whether nothing was changed.
    """

    name: str
    rows: int
    state: CopyState
    copied: int = 0
    changed: int = 0
    without_index: tuple[str, ...] = ()
    seconds: float = 0.0
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class CollectionRemoval:
    """Result of deleting a collection; in a dry run, what would be deleted. Image files are kept.

    Attributes:
        name: Name of the collection.
        rows: Number of rows of its table; 0 if the table was already gone.
        tables: Names of the dropped tables.
        keeps_table: Whether the collection's own table is kept.
        is_dry_run: Whether nothing was changed.
    """

    name: str
    rows: int
    tables: tuple[str, ...]
    keeps_table: bool
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class IndexReport:
    """Result of checking the index.

    Attributes:
        rows: Number of embeddings in the table.
        codes: Number of rows of the index; 0 without an index.
        missing: Ids of embeddings that lack a code.
        stale: Ids whose code does not match an embedding.
        pending: Logged changes, of a table of your own; searches compare these rows exactly.
        problems: What is missing of what keeps the index true, such as a trigger.
    """

    rows: int
    codes: int
    missing: tuple[int, ...]
    stale: tuple[int, ...]
    pending: int = 0
    problems: tuple[str, ...] = ()

    @property
    def is_consistent(self) -> bool:
        """Whether the index matches the table, and is kept so."""
        return not (self.missing or self.stale or self.problems)


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """How an index is kept, and how fresh it is.

    Attributes:
        name: Name of the collection, or of the registered table.
        table: Database and table, as shop.products.
        vector: The VECTOR column.
        id_column: The key.
        name_column: Column with the rows' names; None if there is none.
        metric: What searches rank by.
        kept: "triggers": a log tells every change. "tail": new rows are searched exactly, other
            changes are found by `refresh` and `build`. "add": lookalike's own writes. "server":
            every change, by the server.
        scheduled: How often the server itself refreshes it, as "every 60 seconds"; None for never.
        rows: Number of rows in the table.
        indexed: Number of rows in the index; 0 if there is none and search is exact.
        pending: Logged changes and new rows that the index lacks: searches compare them exactly.
        problems: What is missing of what keeps it true, such as a trigger.
        plan: How searches use lookalike's own index; None without one.
        kind: Whose index searches use, "lookalike" or "server"; None if there is none.
        edges: M of the server's HNSW index that lookalike created; None without one.
    """

    name: str
    table: str
    vector: str
    id_column: str
    name_column: str | None
    metric: Metric
    kept: str
    scheduled: str | None
    rows: int
    indexed: int
    pending: int
    problems: tuple[str, ...]
    plan: Plan | None
    kind: IndexKind | None = None
    edges: int | None = None


@dataclass(frozen=True, slots=True)
class ClusterMember:
    """One server of a cluster, as this program sees it.

    Attributes:
        address: Host and port, or the socket's path, as in the URL.
        role: "primary" or "secondary"; None if it does not answer.
        lag: It has everything that the cluster had committed so many seconds ago; a second or two
            if it is not behind, as it is asked every second. None if that is not known.
        round_trip: Of a short statement, in seconds.
        problem: Why it does not answer searches; None if it does, and for the primary.
    """

    address: str
    role: Literal["primary", "secondary"] | None
    lag: float | None
    round_trip: float | None
    problem: str | None
