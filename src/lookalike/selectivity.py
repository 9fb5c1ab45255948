"""How a filtered search is planned: by how many rows pass, everywhere and near the query.

Two ways lead to the nearest rows that pass. "Filter first" reads all rows that pass and ranks them
exactly. Or the index's codes are read as ever, each joined to its row to see whether it passes; of
cells, so many more are probed that enough rows pass in them. The figures are of
`benchmarks/filters.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from lookalike.dialects import Filter
from lookalike.errors import DatabaseError
from lookalike.index import Index
from lookalike.index_store import NO_SUCH_TABLE, IndexStore
from lookalike.vectors import FloatArray

# Microseconds a row, measured; only their ratios matter.
SCANNED = 1.0
"""To see of a row of the table whether it passes, where no database index tells."""
RANKED = 14.0
"""To fetch an embedding and rank it."""
JOINED = 5.0
"""To join a code to its row, see whether that passes, and estimate."""

FEW_ROWS = 1000
"""As many rows at the most, by the server's own estimate, are filtered first without a sample."""

LEAST_PASSING = 500
"""So many rows that pass are to be expected in the probed cells, however near they are."""

MARGIN = 1.25
FAR = 0.5
"""Where rows near the query pass less than so many times as often as elsewhere, what passes is far
from the query, as in a search for boots that are like a hat."""
FAR_SHARE = 0.2
"""Then cells are probed until this share of all that passes may have been found."""
FAR_ROWS = 10
"""And so many times as many rows are ranked: estimates of what is far are less exact."""

_SAMPLE = 500
_NEAR_SAMPLE = 200
_LEAST_SAMPLE = 50


class Probing(NamedTuple):
    """How many cells a filtered search probes, and how many rows it ranks exactly."""

    n_probes: int
    rows: int


@dataclass(frozen=True)
class Selectivity:
    """Which share of the rows passes a filter: of all, and of those near a query.

    is_scanned: whether the server has to look at every row to find those that pass.
    """

    everywhere: float
    near: float
    is_scanned: bool

    def plan(self, index: Index, usual: Probing) -> Probing | None:
        """Return how to search through the index; None where filtering first is quicker.

        usual: how a search without a filter does.
        """
        wanted = max(LEAST_PASSING, 2 * usual.rows) / max(index.trained_rows, 1)
        cells = max(MARGIN * usual.n_probes / self.near**0.5, index.n_cells * wanted / self.near)
        rows = usual.rows
        if self.near < FAR * self.everywhere:
            # The cells nearest to the query may be those in which no row passes.
            share = 1 - self.everywhere + FAR_SHARE * self.everywhere
            cells = max(MARGIN * usual.n_probes, index.n_cells * share)
            rows *= FAR_ROWS
        n_probes = min(ceil(cells), index.n_cells)
        first = RANKED * self.everywhere + (SCANNED if self.is_scanned else 0)
        is_first = first <= JOINED * n_probes / index.n_cells
        return None if is_first else Probing(n_probes, rows)


def plan_probing(
    store: IndexStore, index: Index, where: Filter, query: FloatArray, usual: Probing
) -> Probing | None:
    """Return how a filtered search goes through the index; None where filtering first is quicker.

    query: shape (dim,). usual: how a search without a filter does. The same data give the same
    plan.
    """
    connection, dialect = store.connection, store.dialect
    way = connection.query(dialect.explain_filter(store.table, where))[0]
    access, estimate = way[4], way[9]
    is_scanned = access in ("ALL", "index")
    if not is_scanned and (estimate or 0) <= FEW_ROWS:
        return None
    near = _near_cells(index, query, usual.n_probes)
    sampled = _sample(store, index, where, near, _SAMPLE)
    if sampled and sampled[0][0] < _LEAST_SAMPLE:  # there are gaps between the ids
        sampled = _sample(store, index, where, near, 10 * _SAMPLE)
    if not sampled or sampled[0][0] < _LEAST_SAMPLE:
        return None
    (n, passing), (n_near, passing_near) = sampled
    # None of a sample is not none at all.
    selectivity = Selectivity(
        max(passing, 0.5) / n, max(passing_near, 0.5) / max(n_near, 1), is_scanned
    )
    return selectivity.plan(index, usual)


def _near_cells(index: Index, query: FloatArray, n_probes: int) -> list[int]:
    """The cells nearest to a query, with the rows that any filtered search of it would read."""
    wanted = ceil(LEAST_PASSING * index.n_cells / max(index.trained_rows, 1))
    limit = min(index.n_cells, max(n_probes, wanted))
    suits = index.nearest_cells(index.preparation.query(query))[0]
    return [int(cell) for cell in np.argpartition(-suits, limit - 1)[:limit]]


def _sample(
    store: IndexStore, index: Index, where: Filter, near: Sequence[int], size: int
) -> list[tuple[int, int]]:
    """Return (rows looked at, rows that pass) everywhere and near; nothing of a lost index."""
    connection, dialect, table = store.connection, store.dialect, store.table
    low, high = connection.query(dialect.id_range(table))[0]
    if low is None:
        return []
    ids = np.unique(np.random.default_rng(0).integers(low, high, size, endpoint=True))
    rows_near = index.trained_rows * len(near) // index.n_cells
    statement = dialect.sample_filter(
        table,
        where,
        ids.tolist(),
        generation=index.generation,
        cells=near,
        every=max(1, rows_near // _NEAR_SAMPLE),
    )
    try:
        return [(int(n), int(passing)) for n, passing in connection.query(statement)]
    except DatabaseError as error:
        if error.code != NO_SUCH_TABLE:
            raise
        return []
