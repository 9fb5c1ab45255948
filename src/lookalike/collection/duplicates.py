"""The duplicates of a collection: found, reported, deleted, or decided to be none."""

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
        """Return groups of images that resemble one another, and which of each to keep.

        Each image of a group resembles the one to keep, in a tier: "identical" (the same bytes),
        "near-duplicate" (the same picture resized, recompressed, cropped a little, turned or
        mirrored) or "similar" (by their embeddings). An image is in one group at most.

        Args:
            min_similarity: Of the tier "similar", by the collection's metric; by default what was
                measured of its model (.95 for efficientnet-lite2), and to be given for others.
            tier: The loosest to look for.
            keep: "best" (the largest area, then the largest file, then the oldest), "oldest" or
                "largest" (in bytes).
            orientations: Which near-duplicates may be turned or mirrored: "auto" (photographs, no
                drawings), "upright" (none) or "all".
            progress: Called with (what is being done, how much of it is done, how much there is).

        Returns:
            Groups of stricter tiers first, then larger ones.

        Raises:
            InputError: An option cannot be used.
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
        """Have an index where there are enough rows for one, that knows all of them."""
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
        """Delete the files of the groups' duplicates, through the system's trash, and their rows.

        A file stays, with its row, where it or the file to keep is not as it was compared: gone,
        changed or unreadable. Then the report names it and why.

        Args:
            groups: What `find` returned.
            tier: The loosest to delete, by default the same bytes alone.
            move_to: A folder to move them to instead; no file there is replaced.
            permanently: Delete them without the trash.
            dry_run: Only report what would be done.
            progress: Called with (groups done, groups in all).

        Raises:
            InputError: An option cannot be used.
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
            file: Its name ends in .html or .htm.
            groups: What `find` returned.
            force: Replace the file also where lookalike did not write it.

        Raises:
            InputError: The file cannot be written.
        """
        return pages.duplicates_report(self._state, file, groups, force=force)

    def mark_distinct(self, *ids: int) -> None:
        """Remember that these images are no duplicates of one another; they share no group then.

        Raises:
            InputError: An id is not stored, or there are fewer than two.
        """
        id_type = self._state.require_decidable().id_type
        mark_distinct(self._state.table, ids, id_type)

    def unmark_distinct(self, *ids: int) -> int:
        """Forget that each two of these images are distinct; return how many decisions went."""
        return unmark_distinct(self._state.table, ids)
