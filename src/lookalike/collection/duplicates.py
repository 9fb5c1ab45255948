"""Find, report and delete duplicates in a collection, or mark images as distinct."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.collection import pages
from lookalike.collection.state import CollectionState
from lookalike.core.paths import expand_user
from lookalike.core.progress import Progress
from lookalike.core.types import DuplicateGroup, KeepRule, Orientations, RemovalReport, Tier
from lookalike.duplicates.distinct import mark_distinct, unmark_distinct
from lookalike.duplicates.find import DuplicateOptions, find_duplicates
from lookalike.duplicates.remove import RemovalOptions, remove_duplicates
from lookalike.index.training import FEWEST_ROWS
from lookalike.models.measured import measured, owner_of


class CollectionDuplicates:
    """`collection.duplicates`: groups of images that resemble one another."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def find(
        self,
        *,
        min_similarity: float | None = None,
        tier: Tier = "similar",
        keep: KeepRule = "best",
        orientations: Orientations = "auto",
        progress: Callable[[str, int, int | None], None] = lambda what, done, total: None,
    ) -> list[DuplicateGroup]:
        """Find groups of images that resemble one another, and choose which of each to keep.

        Each image of a group resembles the one to keep, in a tier: "identical" (the same bytes),
        "near-duplicate" (the same picture resized, recompressed, cropped a little, turned or
        mirrored) or "similar" (by embeddings). An image is in one group at most.

        Args:
            min_similarity: For the tier "similar", by the collection's metric. By default as
                measured for the model (.95 for efficientnet-lite2); required for other models.
            tier: The loosest tier to search.
            keep: "best" (the largest area, then the largest file, then the oldest), "oldest" or
                "largest" (in bytes).
            orientations: Which near-duplicates may be turned or mirrored: "auto" (photographs, not
                drawings), "upright" (none) or "all".
            progress: Called with (step, done, total).

        Returns:
            Groups of stricter tiers first, then larger groups first.

        Raises:
            InputError: An option is not valid.
        """
        state = self._state
        options = DuplicateOptions(min_similarity, tier, keep, orientations)
        state.require_table()
        known = measured(state.model_id, state.metric)
        options.check(state.metric, known, owner_of(state.model_id, state.metric))
        if tier != "identical":
            self._ready_index()

        def stage(what: str) -> Progress:
            return lambda done, total: progress(what, done, total)

        return find_duplicates(state.index, options, known=known, notify=state.notify, stage=stage)

    def _ready_index(self) -> None:
        """Build the index if there are enough rows and none exists; then index all rows."""
        state = self._state
        n = state.connection.value(state.dialect.count_embeddings(state.table))
        if n >= FEWEST_ROWS and state.index.load() is None:
            state.train()
        state.index.advance_tail([])

    def delete(
        self,
        groups: Sequence[DuplicateGroup],
        *,
        tier: Tier = "identical",
        move_to: str | os.PathLike[str] | None = None,
        permanently: bool = False,
        dry_run: bool = False,
        progress: Progress = lambda done, total: None,
    ) -> RemovalReport:
        """Delete the files of duplicates, through the system's trash, and their rows.

        A file and its row are kept if it or the file to keep is gone, changed or unreadable since
        the comparison; the report says why.

        Args:
            groups: The result of `find`.
            tier: The loosest tier to delete; by default only identical bytes.
            move_to: Move files to this folder instead; existing files there are not replaced.
            permanently: Do not use the trash.
            dry_run: Only report what would be done.
            progress: Called with (groups done, groups in all).

        Raises:
            InputError: An option is not valid.
        """
        self._state.require_table()
        folder = None if move_to is None else expand_user(move_to).absolute()
        options = RemovalOptions(tier, folder, permanently, dry_run)
        return remove_duplicates(self._state.index, groups, options, progress)

    def report(
        self,
        file: str | os.PathLike[str],
        groups: Sequence[DuplicateGroup],
        *,
        force: bool = False,
    ) -> Path:
        """Write a page of groups with previews; return its absolute path.

        Args:
            file: A name that ends in .html or .htm.
            groups: The result of `find`.
            force: Replace the file even if lookalike did not write it.

        Raises:
            InputError: The file cannot be written.
        """
        return pages.duplicates_report(self._state, file, groups, force=force)

    def mark_distinct(self, *ids: int) -> None:
        """Record that these images are not duplicates of one another: they never share a group.

        Raises:
            InputError: An id is not stored, or there are fewer than two.
        """
        id_type = self._state.require_decidable().id_type
        mark_distinct(self._state.table, ids, id_type)

    def unmark_distinct(self, *ids: int) -> int:
        """Delete the records that these images are distinct; return how many there were."""
        return unmark_distinct(self._state.table, ids)
