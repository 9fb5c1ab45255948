"""What searches are compared with: the timeline while all goes on, and the table afterwards."""

from collections.abc import Sequence

import numpy as np

from tests.torture import data
from tests.torture.journal import Action
from tests.torture.snapshot import StoredRow, vectors_of
from tests.torture.timeline import Timeline
from tests.torture.verify_searches import Mask, Visible

LEFT, ADDED, TRAINED = "left", "added", "trained"
"""The steps of the inspection: as all was left; after an `add`; after training."""


class RowsOfTimeline:
    """The rows beside all that goes on: what a search saw depends on when it was."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.names, self.index = timeline.names, timeline.index
        self.vectors = timeline.vectors

    @property
    def changed(self) -> list[int]:
        return list(self._timeline.updates)

    def others(self, row: int) -> list[data.Vectors]:
        versions = self._timeline.updates[row]
        return [version.vector for version in versions if version.vector is not None]

    def visible(self, action: Action) -> Visible:
        t, began, ended = self._timeline, action.began, action.ended
        changed = t.changed_began < ended
        must = (t.added_ended < began) & (t.gone_began > ended) & ~changed
        may = (t.added_began < ended) & (t.gone_ended > began) & ~t.was_undone
        shelf = action.given.get("shelf")
        if shelf is not None:
            must &= (t.shelves == shelf) & (t.shelf_ended < began)
            may &= (t.shelves == shelf) & (t.shelf_began < ended)
        return Visible(must, may, must & ~t.is_explicit)


class RowsOfTable:
    """The rows of the inspection: all is known, and nothing changes but by the inspector."""

    def __init__(self, stored: Sequence[StoredRow], timeline: Timeline, quiet: float) -> None:
        """quiet: since when nothing else has happened."""
        rows = [r for r in stored if r.embedding is not None and r.name in timeline.index]
        self.names = [row.name for row in rows]
        self.index = {name: i for i, name in enumerate(self.names)}
        self.vectors = vectors_of(rows, timeline.vectors.shape[1])
        where = timeline.rows_of(self.names)
        began, ended = timeline.added_began[where], timeline.added_ended[where]
        self._added_began = np.where(began < quiet, -np.inf, began)
        self._added_ended = np.where(began < quiet, -np.inf, ended)
        self._shelves = np.array([-1 if row.shelf is None else row.shelf for row in rows], np.int64)
        self._explicit = timeline.is_explicit[where]
        self._changed = np.isfinite(timeline.changed_began[where]) | timeline.is_in_place[where]

    @property
    def changed(self) -> list[int]:
        return []

    def others(self, row: int) -> list[data.Vectors]:
        return []

    def visible(self, action: Action) -> Visible:
        must = self._added_ended < action.began
        may = self._added_began < action.ended
        shelf = action.given.get("shelf")
        if shelf is not None:
            must, may = must & (self._shelves == shelf), may & (self._shelves == shelf)
        return Visible(must, may, must & self._is_promised(action.given["step"]))

    def _is_promised(self, step: str) -> Mask:
        """Through the index: all rows, but those for which the docs name a later time."""
        if step == TRAINED:
            return np.ones(len(self.names), np.bool_)
        if step == ADDED:
            return ~self._changed
        return ~self._changed & ~self._explicit
