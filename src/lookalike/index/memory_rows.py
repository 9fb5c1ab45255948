"""The rows of an index in memory: their ids and cells by position."""

from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.vectors import ids_array
from lookalike.index.codes import Bytes

Ids = npt.NDArray[np.int64]
Cells = npt.NDArray[np.intp]
Positions = npt.NDArray[np.int64]

BYTES = 8 + 2 + 12
"""Of a row: its id, its cell, and what finds its position."""

_GONE = -1


class _Sorted(NamedTuple):
    """Ids in their order, and the positions that they have."""

    ids: Ids
    positions: npt.NDArray[np.int32]


class MemoryRows:
    """Ids and cells by position; the positions of removed rows are given to new ones.

    Args:
        capacity: The number of positions; memory that is not used yet is not taken either.
    """

    def __init__(self, capacity: int) -> None:
        self._ids = np.empty(capacity, np.int64)
        self._cells = np.empty(capacity, np.uint16)
        self._n = 0
        self._free: list[int] = []
        self._changed: dict[int, int] = {}

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._n - len(self._free)

    @property
    def room(self) -> int:
        """How many rows can be added."""
        return len(self._ids) - len(self)

    def add(self, ids: Ids, cells: Cells) -> Positions:
        """Give rows positions, and return them."""
        reused = [self._free.pop() for _ in range(min(len(ids), len(self._free)))]
        new = len(ids) - len(reused)
        positions = np.concatenate([np.array(reused, np.int64), np.arange(self._n, self._n + new)])
        self._n += new
        self._ids[positions], self._cells[positions] = ids, cells
        if "_loaded" in vars(self):
            self._changed |= dict(zip(ids.tolist(), positions.tolist(), strict=True))
        return positions

    def remove(self, ids: Ids) -> tuple[Positions, Cells]:
        """Remove rows; return the positions that they had, and their cells. Ignores unknown ids."""
        unchanged, removed = list[int](), list[int]()
        loaded = self._loaded  # from now on `add` notes what it adds
        for row_id in ids.tolist():
            position = self._changed.pop(row_id, None)
            if position is None:
                unchanged.append(row_id)
            elif position != _GONE:
                removed.append(position)
        wanted = ids_array(unchanged)
        starts, ends = (np.searchsorted(loaded.ids, wanted, side) for side in ("left", "right"))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            removed += loaded.positions[start:end].tolist()
        # The positions of loaded ids must not be found again.
        is_loaded = self.loaded_positions(ids) != _GONE
        self._changed |= dict.fromkeys(ids[is_loaded].tolist(), _GONE)
        self._free += removed
        positions = np.array(removed, np.int64)
        return positions, self._cells[positions].astype(np.intp)

    def ids_at(self, positions: Positions) -> Ids:
        """Return the ids at positions, in any shape; -1 for -1."""
        return np.where(positions >= 0, self._ids[positions], -1)

    def loaded_positions(self, ids: Ids) -> Positions:
        """Return the positions of ids before the first change, -1 for unknown ones."""
        known = self._loaded
        if not len(known.ids):
            return np.full(len(ids), _GONE)
        places = np.minimum(np.searchsorted(known.ids, ids), len(known.ids) - 1)
        return np.where(known.ids[places] == ids, known.positions[places], _GONE).astype(np.int64)

    def bits_of(self, ids: Ids) -> Bytes:
        """Return a bit for each position, set for those of the ids."""
        positions = self.loaded_positions(ids)
        if self._changed:
            pairs = zip(ids.tolist(), positions.tolist(), strict=True)
            positions = np.array([self._changed.get(*pair) for pair in pairs], np.int64)
        positions = positions[positions != _GONE]
        bits = np.zeros(len(self._ids) // 8 + 1, np.uint8)
        np.bitwise_or.at(bits, positions >> 3, np.asarray(1 << (positions & 7), np.uint8))
        return bits

    @cached_property
    def _loaded(self) -> _Sorted:
        ids = self._ids[: self._n]
        order = np.argsort(ids, kind="stable").astype(np.int32)
        return _Sorted(ids[order], order)
