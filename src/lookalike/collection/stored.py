"""What a collection has stored: browse, count and look up its images and their files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from lookalike.collection.state import CollectionState
from lookalike.core.types import ImageRecord
from lookalike.index.rows import find, records

if TYPE_CHECKING:
    from lookalike.attributes.conditions import Where
    from lookalike.collection.items import Item
    from lookalike.core.reports import StoredFailure
    from lookalike.core.types import StoredFile

Target = int | str | os.PathLike[str]
"""A stored image by id, name or file path; or a folder, for all images below it."""


class StoredImages:
    """The part of `Collection` that reads what is stored."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def count(self, where: Where | None = None) -> int:
        """Return the number of stored images, or of those that pass conditions as in `search`."""
        from lookalike.collection import browsing

        return browsing.count(self._state, where)

    def browse(
        self,
        *,
        where: Where | None = None,
        order_by: str = "-id",
        k: int = 60,
        offset: int = 0,
        include: Sequence[Literal["embedding", "attributes"]] = (),
    ) -> list[Item]:
        """Return stored images in an order, without a query, by pages.

        Args:
            where: As in `search`.
            order_by: id, image_name, path, modified (when the file was last changed), folder,
                suffix or an attribute; "-id" for the largest first. Ties are by id in the same
                direction; images without a value come last.
            k: Number of images of a page, at most 10,000.
            offset: Number of images to skip, for the next page.
            include: What to read besides names and paths.

        Raises:
            InputError: An argument cannot be used.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0], [0, 1]], attributes=[{"price": 5}, {"price": 7}])
            >>> [item.id for item in shapes.browse(order_by="-price", k=1)]
            [2]
        """
        from lookalike.collection import browsing

        return browsing.browse(self._state, where, order_by, k, offset, include)

    def files(self, ids: Iterable[int]) -> dict[int, StoredFile]:
        """Return the files of stored images by id, as they were when they were added.

        Images without a file, and unknown ids, are left out.
        """
        from lookalike.collection import browsing

        return browsing.files(self._state, ids)

    def get(
        self,
        ids: Iterable[int],
        *,
        include: Sequence[Literal["embedding", "attributes"]] = ("embedding", "attributes"),
    ) -> list[Item]:
        """Return stored images by id, in the order of ids; unknown ids are skipped.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> ids = shapes.upsert([[1, 0]], names=["right"], attributes=[{"price": 5}])
            >>> shapes.get(ids)[0].attributes
            {'price': 5}
        """
        from lookalike.collection import items

        return items.get(self._state, ids, include)

    def records(self, ids: Iterable[int]) -> list[ImageRecord]:
        """Return names and paths of stored images, in the order of ids; unknown ids are skipped."""
        return [] if self._state.record is None else records(self._state.table, ids)

    def find(self, *targets: Target) -> list[ImageRecord]:
        """Return the stored images that `remove` would remove; raises InputError as it does."""
        return self.records(find(self._state.table, targets))

    def gone(
        self,
        *folders: str | os.PathLike[str],
        exclude: Sequence[str] = (),
        hidden: bool = False,
    ) -> list[ImageRecord]:
        """Return stored images below folders whose files are gone: those that `add` would prune.

        Args:
            exclude, hidden: As in `add`; a file that was moved to an excluded place is gone.

        Raises:
            InputError: A folder does not exist, or cannot be read.
        """
        from lookalike.collection import adding

        return adding.gone(self._state, folders, exclude=exclude, hidden=hidden)

    def failures(self) -> list[StoredFailure]:
        """Return the files that could not be added, and have not been added since, by path."""
        from lookalike.collection.status import read_failures

        return read_failures(self._state.table) if self._state.has_files else []
