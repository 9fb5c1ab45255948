"""What must and what may be in the collection's table at any moment, by the journals alone."""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.torture import data
from tests.torture.journal import DONE, UNDONE, Action

Times = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Version:
    """An embedding that a row may have: from `began` on, and surely at `ended`."""

    began: float
    ended: float
    is_sure: bool
    vector: data.Vectors | None


class Timeline:
    """The rows that there have ever been, and when they came, went and changed.

    Times are those of the journals: something that was told to have happened did so between
    `began` and `ended`; of what was cut short `ended` is infinite.
    """

    def __init__(self, actions: Sequence[Action], dim: int) -> None:
        self._dim = dim
        adds = [a for a in actions if a.kind in ("add", "replace")]
        self.names: list[str] = []
        vectors = [np.empty((0, dim), np.float32)]
        for action in adds:
            batch, n = action.given["batch"], action.given["n"]
            self.names += data.row_names(batch, n)
            vectors.append(data.embeddings(batch, n, dim))
        self.vectors = np.concatenate(vectors)
        self.index = {name: i for i, name in enumerate(self.names)}
        n_rows = len(self.names)
        self.added_began, self.added_ended = _never(n_rows), _never(n_rows)
        self.gone_began, self.gone_ended = _never(n_rows), _never(n_rows)
        self.shelf_began, self.shelf_ended = _never(n_rows), _never(n_rows)
        self.changed_began = _never(n_rows)
        self.was_undone = np.zeros(n_rows, np.bool_)
        self.is_explicit = np.zeros(n_rows, np.bool_)
        self.is_in_place = np.zeros(n_rows, np.bool_)
        """Rows with the id of another one that went in the same transaction."""
        self.ids: dict[int, int] = {}
        self.deletes: list[tuple[Action, list[int]]] = []
        self.updates: dict[int, list[Version]] = defaultdict(list)
        self.shelves = np.array([data.shelf_of(name) for name in self.names], np.int64)
        self._at_id: dict[int, list[int]] = defaultdict(list)
        for action in adds:
            self._add(action)
        for action in actions:
            if action.kind in ("delete", "replace"):
                self._delete(action)
            elif action.kind == "update":
                self._update(action)
            elif action.kind == "attributes":
                rows = self.rows_of(action.given["names"])
                _earliest(self.shelf_began, self.shelf_ended, rows, action)

    def rows_of(self, names: Sequence[str]) -> list[int]:
        """Return where these names are; all of them are known."""
        return [self.index[name] for name in names]

    def batch(self, action: Action) -> list[int]:
        """Return the rows that an action has added, or would have."""
        first = self.index[data.row_name(action.given["batch"], 0)] if action.given["n"] else 0
        return list(range(first, first + action.given["n"]))

    def versions(self, row: int) -> list[Version]:
        """Return the embeddings that a row may have in the end."""
        first = self.added_began[row], self.added_ended[row]
        own = Version(float(first[0]), float(first[1]), True, self.vectors[row])
        every = [own, *self.updates.get(row, ())]
        return [
            version
            for version in every
            if not any(later.is_sure and later.began > version.ended for later in every)
            and not (version is own and any(u.is_sure for u in every[1:]))
        ]

    def _add(self, action: Action) -> None:
        rows = self.batch(action)
        if _is_undone(action):
            self.was_undone[rows] = True
            return
        _earliest(self.added_began, self.added_ended, rows, action)
        given = action.given
        explicit = given.get("explicit") or (given["ids"] if action.kind == "replace" else [])
        self.is_explicit[rows] = bool(explicit)
        self.is_in_place[rows] = action.kind == "replace"
        for row, row_id in zip(rows, action.result.get("ids") or explicit, strict=False):
            self.ids[row] = row_id
            self._at_id[row_id].append(row)

    def _delete(self, action: Action) -> None:
        if _is_undone(action):
            return
        rows = self.rows_of(action.given["names"])
        _earliest(self.gone_began, self.gone_ended, rows, action)
        self.deletes.append((action, rows))
        if action.kind == "delete":
            # By id: a row that has taken a deleted one's place may be hit.
            for row_id in action.given.get("ids", ()):
                others = [row for row in self._at_id[row_id] if row not in rows]
                self.gone_began[others] = np.minimum(self.gone_began[others], action.began)

    def _update(self, action: Action) -> None:
        if _is_undone(action):
            return
        rows, key = self.rows_of(action.given["names"]), action.given["key"]
        vectors: Sequence[data.Vectors | None] = [None] * len(rows)
        if key is not None:
            vectors = list(data.embeddings(key, len(rows), self._dim))
        is_sure = action.outcome == DONE
        for row, vector in zip(rows, vectors, strict=True):
            self.updates[row].append(Version(action.began, action.ended, is_sure, vector))
        self.changed_began[rows] = np.minimum(self.changed_began[rows], action.began)


def _is_undone(action: Action) -> bool:
    return action.outcome == UNDONE or action.result.get("replaced") is False


def _earliest(began: Times, ended: Times, rows: list[int], action: Action) -> None:
    began[rows] = np.minimum(began[rows], action.began)
    if action.outcome == DONE:
        ended[rows] = np.minimum(ended[rows], action.ended)


def _never(n: int) -> Times:
    return np.full(n, math.inf)
