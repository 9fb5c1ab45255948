"""Plan a filtered search by how many rows match the filter, overall and near the query.

There are two ways. "Filter first" reads all matching rows and ranks them exactly. The other way
reads the index's codes and joins each to its row to check the filter; it probes more cells, so that
they contain enough matching rows. The constants come from `benchmarks/filters.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np

from lookalike.core.vectors import FloatArray
from lookalike.database.errors import MissingTable
from lookalike.dialects import Filter
from lookalike.index.ivf import Index
from lookalike.index.store import IndexStore

# Microseconds a row, measured; only their ratios matter.
SCANNED = 1.0
"""Checking the filter on a row without a database index."""
RANKED = 14.0
"""Fetching an embedding and ranking it."""
JOINED = 5.0
"""Joining a code to its row, checking the filter, and estimating."""

FEW_ROWS = 1000
"""Up to this many rows, by the server's own estimate, are filtered first without a sample."""

LEAST_PASSING = 500
"""Probe enough cells for this many matching rows."""

MARGIN = 1.25
FAR = 0.5
"""If rows near the query match less than this many times as often as elsewhere, matches are far
from it, as in a search for boots that look like a hat.
"""
FAR_SHARE = 0.2
"""Then cells are probed until about this share of all matching rows is found."""
FAR_ROWS = 10
"""Then this many times more rows are ranked, because estimates of distant rows are less exact."""

_SAMPLE = 500
_NEAR_SAMPLE = 200
_LEAST_SAMPLE = 50


class Probing(NamedTuple):
    """How many cells a filtered search probes, and how many rows it ranks exactly."""

    n_probes: int
    rows: int


@dataclass(frozen=True)
class Selectivity:
    """The share of rows that match a filter: of all rows, and of those near a query.

    is_scanned: whether the server must check every row.
    """

    everywhere: float
    near: float
    is_scanned: bool

    def plan(self, index: Index, usual: Probing) -> Probing | None:
        """Return how to search through the index; None if filtering first is faster.

        usual: the plan of a search without a filter.
        """
        wanted = max(LEAST_PASSING, 2 * usual.rows) / max(index.trained_rows, 1)
        cells = max(MARGIN * usual.n_probes / self.near**0.5, index.n_cells * wanted / self.near)
        rows = usual.rows
        if self.near < FAR * self.everywhere:
            # The cells nearest to the query may hold no matching row.
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
    """Return how a filtered search uses the index; None if filtering first is faster.

    query: shape (dim,). usual: the plan of a search without a filter. The same data give the same
    plan.
    """
    connection, dialect = store.table.connection, store.table.dialect
    access, estimate = "ALL", None
    if dialect.has_explain_table:
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
    # None in a sample does not mean none at all.
    selectivity = Selectivity(
        max(passing, 0.5) / n, max(passing_near, 0.5) / max(n_near, 1), is_scanned
    )
    return selectivity.plan(index, usual)


def _near_cells(index: Index, query: FloatArray, n_probes: int) -> list[int]:
    """The cells nearest to a query, with the rows that every filtered search for it reads."""
    wanted = ceil(LEAST_PASSING * index.n_cells / max(index.trained_rows, 1))
    limit = min(index.n_cells, max(n_probes, wanted))
    scores = index.cell_scores(index.preparation.query(query))[0]
    return [int(cell) for cell in np.argpartition(-scores, limit - 1)[:limit]]


def _sample(
    store: IndexStore, index: Index, where: Filter, near: Sequence[int], size: int
) -> list[tuple[int, int]]:
    """Return (rows checked, rows that match), overall and near; nothing for a lost index."""
    table = store.table
    connection, dialect = table.connection, table.dialect
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
    except MissingTable:
        return []
