"""Remove stored images from a collection: for good, or so that they can be put back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lookalike.collection.state import CollectionState
from lookalike.collection.stored import Target
from lookalike.index.rows import checked_ids, delete_rows, find

if TYPE_CHECKING:
    from lookalike.core.removals import Removed, RestoreReport


class Removal:
    """The part of `Collection` that removes images and puts them back."""

    _state: CollectionState

    def remove(self, *targets: Target) -> int:
        """Delete the rows of stored images, not their files; return how many were deleted.

        Raises:
            InputError: A target is not stored; nothing is deleted.
        """
        self._state.require_collection()
        return delete_rows(self._state.index, find(self._state.table, targets))

    def remove_rows(self, ids: Iterable[int]) -> int:
        """Delete rows by id, not their files, and return their number; unknown ids are ignored."""
        self._state.require_collection()
        wanted = checked_ids(ids)
        return delete_rows(self._state.index, wanted) if wanted else 0

    def take_out(self, *targets: Target) -> Removed:
        """Delete the rows of stored images, all or none, so that `put_back` can undo it.

        Their files stay. What belongs to a row is kept in the result: its embedding, attributes and
        other columns, what is known of its file, and decisions that it is distinct from others.

        Raises:
            InputError: A target is not stored; nothing is deleted.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0], [0, 1]], names=["right", "up"])
            >>> removed = shapes.take_out("up")
            >>> shapes.count()
            1
            >>> shapes.put_back(removed).restored
            (2,)
        """
        from lookalike.removal.removal import take_out

        self._state.require_collection()
        return take_out(self._state.index, find(self._state.table, targets))

    def trash(self, *targets: Target) -> Removed:
        """Move the files of stored images to the system's trash, and take their rows out.

        A file stays, with its row, if it is gone, changed or unreadable since it was added, or a
        link, or if there is no trash for it: see `Removed.failed`. So do images without a file.

        Raises:
            InputError: A target is not stored; nothing is changed.
            DatabaseError: The rows cannot be deleted; the files are back where they were.
        """
        from lookalike.removal.removal import trash

        self._state.require_collection()
        return trash(self._state.index, find(self._state.table, targets))

    def put_back(self, removed: Removed) -> RestoreReport:
        """Put images back that were taken out, with their ids and all that belonged to them.

        Files come back from the trash, or from where they were moved; nothing is replaced. An image
        stays out if its id, path or place is taken, or if its file is not in the trash any more:
        see `RestoreReport.failed`. The call can be repeated. On systems whose trash is not that of
        freedesktop.org, put the files back first.

        Args:
            removed: What `take_out`, `trash`, or `taken` of `duplicates.delete` returned.

        Raises:
            InputError: They were taken out of another collection.
        """
        from lookalike.removal.removal import put_back

        self._state.require_collection()
        report = put_back(self._state.index, removed, self._state.waiting_pairs)
        if report.restored:
            self._state.index.advance_tail(report.restored)
            self._state.maintain()
        return report
