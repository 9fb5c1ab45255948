"""Find, report and delete duplicates in a collection, or mark images as distinct."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lookalike.collection import pages
from lookalike.collection.state import CollectionState
from lookalike.core.paths import existing_folder, expand_user
from lookalike.core.progress import Progress
from lookalike.core.removals import RemovalReport
from lookalike.core.sizes import check_bytes
from lookalike.core.types import DuplicateGroup, KeepRule, Orientations, Tier
from lookalike.duplicates.choice import chosen_groups
from lookalike.duplicates.distinct import mark_distinct, one_image_each, unmark_distinct
from lookalike.duplicates.find import DuplicateOptions, find_duplicates
from lookalike.duplicates.remove import RemovalOptions, remove_duplicates
from lookalike.index import kinds
from lookalike.models.measured import Measured, measured, owner_of

Steps = Callable[[str, int, int | None], None]
"""Called with (step, done, total)."""


def find(
    state: CollectionState, options: DuplicateOptions, progress: Steps
) -> list[DuplicateGroup]:
    """Find groups of duplicates, with an index where it is needed."""
    known = check(state, options)

    def stage(what: str) -> Progress:
        return lambda done, total: progress(what, done, total)

    with ExitStack() as stack:
        if options.tier != "identical" and _is_large(state, options.most_compared):
            stack.enter_context(_ready_index(state))
        return find_duplicates(state.index, options, known=known, notify=state.notify, stage=stage)


def check(state: CollectionState, options: DuplicateOptions) -> Measured | None:
    """Return what was measured of the model. Raises InputError for options that cannot be used."""
    state.require_table()
    known = measured(state.model_id, state.metric)
    options.check(state.metric, known, owner_of(state.model_id, state.metric))
    return known


def _is_large(state: CollectionState, most_compared: int) -> bool:
    """Whether there are rows to search the index for."""
    n = state.connection.value(state.dialect.count_embeddings(state.table))
    return int(n) > most_compared


@contextmanager
def _ready_index(state: CollectionState) -> Iterator[None]:
    """Have lookalike's own index of all rows: the server's would be asked row by row."""
    kinds.check_kind(state.dialect, state.metric, "lookalike")
    with kinds.ours(state.index, state.train):
        if state.own is not None:
            state.refresh()
        state.index.advance_tail([])
        yield


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
        prefer: Sequence[str | os.PathLike[str]] = (),
        index_memory: int | str | None = None,
        progress: Steps = lambda what, done, total: None,
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
            prefer: Folders, the most preferred first: of a group, the image in the first of them
                is kept. Among several in it, and where none is in one, `keep` decides.
            index_memory: What to take at most for the index in memory, in bytes or as "2G"; by
                default a quarter of what is free. Where it does not fit, MySQL searches it.
            progress: Called with (step, done, total).

        Returns:
            Groups of stricter tiers first, then larger groups first.

        Raises:
            InputError: An option is not valid.
        """
        if isinstance(prefer, str | os.PathLike):
            prefer = (prefer,)
        folders = tuple(existing_folder(folder) for folder in prefer)
        options = DuplicateOptions(
            min_similarity,
            tier,
            keep,
            orientations,
            folders,
            index_memory=check_bytes("index_memory", index_memory),
        )
        return find(self._state, options, progress)

    def check(
        self,
        *,
        min_similarity: float | None = None,
        tier: Tier = "similar",
        keep: KeepRule = "best",
        orientations: Orientations = "auto",
    ) -> None:
        """Raise InputError for options that `find` would refuse, which may be run much later."""
        check(self._state, DuplicateOptions(min_similarity, tier, keep, orientations, ()))

    def delete(
        self,
        groups: Sequence[DuplicateGroup],
        *,
        tier: Tier = "identical",
        move_to: str | os.PathLike[str] | None = None,
        permanently: bool = False,
        dry_run: bool = False,
        undo: bool = True,
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
            undo: Keep in the report's `taken` what `Collection.put_back` needs: some kilobytes of
                memory an image.
            progress: Called with (groups done, groups in all).

        Raises:
            InputError: An option is not valid.
        """
        self._state.require_table()
        self._state.require_collection()
        folder = None if move_to is None else expand_user(move_to).absolute()
        options = RemovalOptions(tier, folder, permanently, dry_run, undo)
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

    def choose(self, groups: Sequence[DuplicateGroup], *names: int | str) -> list[DuplicateGroup]:
        """Return some of the groups, by number, or by name, which tells a group that has changed.

        Args:
            groups: The result of `find`.
            names: Numbers or names of groups, as 17 or "17-k7xq".

        Raises:
            InputError: There is no such group, or it is not as it was when it had that name.
        """
        return chosen_groups(groups, names)

    def mark_distinct(self, *images: int | str | os.PathLike[str]) -> list[int]:
        """Record that these images are not duplicates of one another: they never share a group.

        Args:
            images: Ids, paths or names of stored images.

        Returns:
            Their ids.

        Raises:
            InputError: One is not stored, or there are fewer than two.
        """
        id_type = self._state.require_decidable().id_type
        ids = one_image_each(self._state.table, images)
        mark_distinct(self._state.table, ids, id_type)
        return ids

    def unmark_distinct(self, *images: int | str | os.PathLike[str]) -> int:
        """Delete the records that these images are distinct; return how many there were."""
        return unmark_distinct(self._state.table, one_image_each(self._state.table, images))
