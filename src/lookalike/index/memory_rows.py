"""The rows of an index in memory: their ids by position, and which positions still count."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.vectors import ids_array
from lookalike.index.codes import Bytes

Ids = npt.NDArray[np.int64]
Positions = npt.NDArray[np.int64]

BYTES = 8 + 12
"""Of a row: its id, and what finds its position."""


class _Sorted(NamedTuple):
    """Ids in their order, and the positions that they have."""

    ids: Ids
    positions: npt.NDArray[np.int32]


class MemoryRows:
    """Ids by position. A changed row gets a new position, and its old one is dead.

    Args:
        capacity: The number of positions; memory that is not used yet is not taken either.
    """

    def __init__(self, capacity: int) -> None:
        self._ids = np.empty(capacity, np.int64)
        self._alive = np.zeros(capacity // 8 + 1, np.uint8)
        self._n = 0
        self._n_dead = 0
        self._changed: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n - self._n_dead

    @property
    def room(self) -> int:
        """How many positions are left."""
        return len(self._ids) - self._n

    @property
    def alive(self) -> Bytes | None:
        """A bit for each position, set for those that count; None if all do."""
        return self._alive if self._n_dead else None

    def add(self, ids: Ids) -> Positions:
        """Give rows positions, and return them."""
        positions = np.arange(self._n, self._n + len(ids))
        self._ids[positions] = ids
        np.bitwise_or.at(self._alive, positions >> 3, _bits(positions))
        self._n += len(ids)
        if "_sorted" in vars(self):
            self._changed |= dict(zip(ids.tolist(), positions.tolist(), strict=True))
        return positions

    def remove(self, ids: Ids) -> None:
        """Have the positions of these ids count no more."""
        loaded, dead = list[int](), list[int]()
        first = self._sorted  # from now on `add` notes what it adds
        for row_id in ids.tolist():
            position = self._changed.get(row_id)
            if position is None:
                loaded.append(row_id)
            elif position >= 0:
                dead.append(position)
            self._changed[row_id] = -1
        wanted = ids_array(loaded)
        starts, ends = (np.searchsorted(first.ids, wanted, side) for side in ("left", "right"))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            dead += first.positions[start:end].tolist()
        positions = np.array(dead, np.int64)
        np.bitwise_and.at(self._alive, positions >> 3, ~_bits(positions))
        self._n_dead += len(dead)

    def ids_at(self, positions: Positions) -> Ids:
        """Return the ids at positions, in any shape; -1 for -1."""
        return np.where(positions >= 0, self._ids[positions], -1)

    def is_alive(self, positions: Positions) -> npt.NDArray[np.bool_]:
        """Whether positions count."""
        found: npt.NDArray[np.bool_] = (self._alive[positions >> 3] & _bits(positions)) != 0
        return found

    def loaded_positions(self, ids: Ids) -> Positions:
        """Return the positions of ids before the first change, -1 for unknown ones."""
        known = self._sorted
        places = np.minimum(np.searchsorted(known.ids, ids), max(len(known.ids) - 1, 0))
        if not len(known.ids):
            return np.full(len(ids), -1)
        return np.where(known.ids[places] == ids, known.positions[places], -1).astype(np.int64)

    def bits_of(self, ids: Ids) -> Bytes:
        """Return a bit for each position, set for those of ids that count."""
        positions = self.loaded_positions(ids)
        if self._changed:
            positions = np.array(
                [
                    self._changed.get(row_id, position)
                    for row_id, position in zip(ids.tolist(), positions.tolist(), strict=True)
                ],
                np.int64,
            )
        positions = positions[positions >= 0]
        bits = np.zeros_like(self._alive)
        np.bitwise_or.at(bits, positions >> 3, _bits(positions))
        return bits & self._alive

    @cached_property
    def _sorted(self) -> _Sorted:
        ids = self._ids[: self._n]
        order = np.argsort(ids, kind="stable").astype(np.int32)
        return _Sorted(ids[order], order)


def _bits(positions: Positions) -> Bytes:
    return np.asarray(1 << (positions & 7), np.uint8)
