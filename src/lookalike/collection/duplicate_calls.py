"""What a collection can do about duplicates."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from lookalike.collection.state import OpenedCollection
from lookalike.core.paths import expand_user
from lookalike.core.types import DuplicateGroup, KeepRule, Orientations, RemovalReport, Tier
from lookalike.core.written import DUPLICATES_REPORT, check_target
from lookalike.duplicates.decisions import mark_distinct, unmark_distinct
from lookalike.duplicates.find import DuplicateOptions, find_duplicates
from lookalike.duplicates.neighbours import Progress
from lookalike.duplicates.remove import RemovalOptions, remove_duplicates
from lookalike.index.training import FEWEST_ROWS, train
from lookalike.models.measured import measured, owner_of
from lookalike.pages.duplicates import write_report


class DuplicateCalls(OpenedCollection):
    """Duplicates of a collection: found, reported, removed, or decided to be none."""

    def duplicates(
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

        min_similarity: of the tier "similar", by the collection's metric; by default what was
        measured of its model, 0.95 for efficientnet-lite2, and to be given for others. tier: the
        loosest that is looked for. keep: "best" (the largest area, then the largest file, then the
        oldest), "oldest" or "largest" (in bytes). orientations: which near-duplicates may be turned
        or mirrored: "auto" (photographs, no drawings), "upright" (none) or "all". progress: called
        with what is being done, how much of it is done and of how much.

        Groups of stricter tiers come first, then larger ones. Raises InputError.
        """
        options = DuplicateOptions(min_similarity, tier, keep, orientations)
        self._require_table()
        known = measured(self.model_id, self.metric)
        options.check(self.metric, known, owner_of(self.model_id, self.metric))
        if tier != "identical":
            self._ready_index()

        def stage(what: str) -> Progress:
            return lambda done, total: progress(what, done, total)

        return find_duplicates(
            self._index,
            options,
            known=known,
            notify=self._notify,
            stage=stage,
        )

    def _ready_index(self) -> None:
        """Have an index where there are enough rows for one, that knows all of them."""
        n = self._connection.value(self._dialect.count_embeddings(self._table))
        if n >= FEWEST_ROWS and self._index.load() is None:
            self._require_indexable()
            self._notify(f"Training the index of {self.name}.")
            train(self._index, self._connection.open_another)
        self._index.advance_tail([])

    def remove_duplicates(
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

        tier: the loosest that is deleted, by default the same bytes alone. move_to: a folder to
        move them to instead; no file there is replaced. permanently: delete them without the
        trash. dry_run: only tell what would be done. progress: called with (groups done, groups in
        all).

        A file stays, with its row, where it or the file to keep is not as it was compared: gone,
        changed or unreadable. Then the report names it and why. Raises InputError.
        """
        self._require_table()
        folder = None if move_to is None else expand_user(move_to).absolute()
        options = RemovalOptions(tier, folder, permanently, dry_run)
        return remove_duplicates(self._index, groups, options, progress)

    def duplicates_report(
        self,
        file: str | os.PathLike[str],
        groups: Sequence[DuplicateGroup],
        *,
        force: bool = False,
    ) -> Path:
        """Write a page of groups of duplicates with previews; return its absolute path.

        file: its name ends in .html or .htm. force: replace it also where lookalike did not write
        it. Raises InputError.
        """
        target = expand_user(file).absolute()
        check_target(target, DUPLICATES_REPORT, force=force)
        write_report(target, self.name, groups, force=force)
        return target

    def mark_distinct(self, *ids: int) -> None:
        """Remember that these images are no duplicates of one another; they share no group then.

        Raises InputError for an id that is not stored, and for fewer than two.
        """
        mark_distinct(self._table, ids, self._require_decidable().id_type)

    def unmark_distinct(self, *ids: int) -> int:
        """Forget that each two of these images are distinct; return how many decisions went."""
        self._require_table()
        return unmark_distinct(self._table, ids)
