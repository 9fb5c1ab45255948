"""What can be asked of a collection's rows, and how they go."""

import os
from collections.abc import Iterable, Sequence

from lookalike.add.add import find_gone
from lookalike.collection.state import OpenedCollection
from lookalike.collection.status import failures, read_status
from lookalike.core.types import ImageRecord, Status, StoredFailure
from lookalike.images.walk import ImageWalk
from lookalike.index.rows import delete_rows, find, records


class RowCalls(OpenedCollection):
    """The rows of a collection: looked up, counted, removed."""

    def records(self, ids: Iterable[int]) -> list[ImageRecord]:
        """Return the stored images of these ids, in their order; unknown ids are left out."""
        if self._record is None:
            return []
        return records(self._table, ids)

    def find(self, *targets: int | str | os.PathLike[str]) -> list[ImageRecord]:
        """Return the stored images of these targets: what `remove` removes.

        targets: ids, paths of files or of folders with all below them, or stored names. Raises
        InputError for one that is not stored.
        """
        return self.records(self._ids_of(targets))

    def gone(
        self,
        *folders: str | os.PathLike[str],
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> list[ImageRecord]:
        """Return the stored images below folders whose files are gone: what `add` would prune.

        exclude, hidden: as in `add`; a file that was moved to where `add` does not look is gone.

        Raises InputError for a folder that is not there, and where it cannot be told.
        """
        self._require_table()
        walk = ImageWalk(folders, exclude=exclude, hidden=hidden)
        if not self._has_tables:
            return []
        return self.records(find_gone(self._table, walk, self._notify))

    def delete(self, ids: Iterable[int]) -> int:
        """Delete the rows of these ids, not their files; return how many there were."""
        wanted = list(ids)
        if not wanted:
            return 0
        self._require_table()
        return delete_rows(self._index, wanted)

    def remove(self, *targets: int | str | os.PathLike[str]) -> int:
        """Delete the rows of stored images, not their files; return how many there were.

        targets: ids, paths of files or of folders with all below them, or stored names. Raises
        InputError for one that is not stored, and then nothing is deleted.
        """
        return delete_rows(self._index, self._ids_of(targets))

    def _ids_of(self, targets: Iterable[int | str | os.PathLike[str]]) -> list[int]:
        self._require_table()
        return find(self._table, targets)

    def failures(self) -> list[StoredFailure]:
        """Return the files that could not be added and have not been since, by path."""
        return failures(self._table) if self._has_tables else []

    def status(self) -> Status:
        """Return what the collection holds, and what its last `add` did."""
        self._require_table()
        return read_status(self._index, self.model_id)
