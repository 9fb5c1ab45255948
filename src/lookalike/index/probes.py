"""Measure how far a search must look, on the collection's own embeddings.

Two settings determine what a search finds: which cells it reads, and how many of the best estimates
in them it compares exactly. They are chosen together: the cheapest plan that reaches the target on
queries whose true neighbours are known.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric, Plan
from lookalike.core.vectors import FloatArray
from lookalike.index.ivf import Codes, Ids, Index, of_length_1

QUERIES = 500
K = 10
KEPT = 64
"""Neighbours kept per query: its K nearest, and others that are equally near."""

TOLERANCE = 1e-3
"""A neighbour within this share of the K-th similarity counts as equally near."""

TARGET_RECALL = 0.99
MARGIN = 0.3
"""Safety margin: this share of the allowed loss stays unused, because other queries will differ."""

# Microseconds, measured; only their ratios matter.
READ = 1.0
"""Reading a code, estimating and sorting."""
PROBED = 8.0
"""Choosing a cell, sending its planes and finding its codes."""
RESCORED = 12.0
"""Fetching one embedding and comparing it exactly."""
SCANNED = 10.0
"""Fetching and comparing one embedding in an exact search."""

FEWEST_TO_DOUBT = 5000
"""With fewer rows, any plan is fast."""

LOST_SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
"""Shares of the allowed loss to try for neighbours in cells that are not read."""

GAP_QUANTILES = (0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 1.0)
LEAST_RESCORED = 50
_MAX_READ = 2_000_000
"""Maximum number of codes estimated per reach, exceeded only to use _FEWEST_QUERIES queries."""
_FEWEST_QUERIES = 20
_MISSED = np.iinfo(np.intp).max

Ranks = npt.NDArray[np.intp]


@dataclass(frozen=True)
class _Reach:
    """Which cells to read: at most n_probes, with scores within gap of the best.

    read: average number of codes read.
    """

    n_probes: int
    gap: float
    read: float


class PlanFinder:
    """Collects the true neighbours of some stored embeddings, then finds the cheapest plan.

    sample: prepared embeddings that serve as queries, shape (n_queries, bits). ids: their ids,
    because an embedding is not its own neighbour.
    """

    def __init__(self, metric: Metric, sample: FloatArray, ids: Ids) -> None:
        self._metric = metric
        self._queries = of_length_1(sample) if metric == "dot" else sample
        self._ids = ids
        self._scores = np.full((len(sample), KEPT), -np.inf, np.float32)
        self._found = np.full((len(sample), KEPT), -1, np.int64)

    def similarities(self, ids: Ids, prepared: FloatArray) -> FloatArray:
        """Return the similarity of each query to a batch of prepared embeddings, for `see`.

        Shape (n_queries, n). Any thread may call this.
        """
        scores = self._queries @ prepared.T
        if self._metric == "euclidean":
            scores -= np.einsum("ij,ij->i", prepared, prepared) / 2
        scores[self._ids[:, np.newaxis] == ids] = -np.inf
        return scores

    def see(self, ids: Ids, scores: FloatArray) -> None:
        """Take the similarities of a batch into account."""
        nearer = np.flatnonzero((scores > self._scores.min(axis=1, keepdims=True)).any(axis=0))
        all_scores = np.concatenate([self._scores, scores[:, nearer]], axis=1)
        all_ids = np.concatenate(
            [self._found, np.broadcast_to(ids[nearer], (len(scores), len(nearer)))], axis=1
        )
        top = np.argpartition(-all_scores, KEPT - 1, axis=1)[:, :KEPT]
        self._scores = np.take_along_axis(all_scores, top, axis=1)
        self._found = np.take_along_axis(all_ids, top, axis=1)

    def plan(self, index: Index, codes: Codes, target: float) -> Plan:
        """Return the cheapest plan that finds `target` of the true K nearest.

        codes: of all embeddings, in key order. If comparing all of them exactly is cheaper, the
        plan is exact.
        """
        goal = target + MARGIN * (1 - target)
        measured = _Measured(index, self._queries, codes, self._found, self._is_near())
        best, cheapest = Plan(0, 0.0, 0, 1.0, target), inf
        if len(codes.ids) >= FEWEST_TO_DOUBT:
            cheapest = SCANNED * len(codes.ids)
        for reach, rescored, recall in measured.rescored(measured.reaches(goal), goal):
            cost = READ * reach.read + PROBED * reach.n_probes + RESCORED * rescored
            if cost < cheapest:
                best = Plan(reach.n_probes, reach.gap, rescored, recall, target)
                cheapest = cost
        return best

    def _is_near(self) -> npt.NDArray[np.bool_]:
        """Whether a kept neighbour is one of the K nearest or equally near: (n_queries, KEPT)."""
        values = self._scores
        if self._metric == "euclidean":
            squares = np.einsum("ij,ij->i", self._queries, self._queries)[:, np.newaxis]
            values = -np.sqrt(np.maximum(squares - 2 * values, 0))
        kth = -np.partition(-values, K - 1, axis=1)[:, K - 1 : K]
        with np.errstate(invalid="ignore"):  # fewer than K others: all count as near
            near: npt.NDArray[np.bool_] = values >= kth - TOLERANCE * np.abs(kth)
        there = ~np.isneginf(self._scores)
        return (near | np.isneginf(kth)) & there


class _Measured:
    """The cells of the queries' neighbours, and the ranks of their estimates."""

    def __init__(
        self,
        index: Index,
        queries: FloatArray,
        codes: Codes,
        found: Ids,
        near: npt.NDArray[np.bool_],
    ) -> None:
        self._index, self._queries, self._codes = index, queries, codes
        order = np.argsort(codes.ids)
        at = np.searchsorted(codes.ids, found, sorter=order).clip(max=len(order) - 1)
        self._positions = order[at]
        self._near = near & (codes.ids[self._positions] == found)
        self._starts = np.searchsorted(codes.cells, np.arange(index.n_cells + 1))
        scores = index.cell_scores(queries)
        self._order = np.argsort(-scores, axis=1)
        ranks = np.empty_like(self._order)
        np.put_along_axis(ranks, self._order, np.arange(index.n_cells), axis=1)
        gaps = scores.max(axis=1, keepdims=True) - scores
        cells = codes.cells[self._positions]
        self._ranks = np.take_along_axis(ranks, cells, axis=1)
        self._gaps = np.take_along_axis(gaps, cells, axis=1)
        self._all_gaps = np.take_along_axis(gaps, self._order, axis=1)
        self._sizes = np.diff(self._starts)[self._order]

    def reaches(self, goal: float) -> list[_Reach]:
        """Return, for each of LOST_SHARES, the reach that reads the fewest codes."""
        if self._index.n_cells == 1:
            return [_Reach(1, 0.0, float(len(self._codes.ids)))]
        needed = self._first_needed()
        return [self._narrowest(*needed, 1 - share * (1 - goal)) for share in LOST_SHARES]

    def _first_needed(self) -> tuple[Ranks, FloatArray]:
        """Return ranks and gaps of the K near neighbours per query whose cells rank best."""
        ranks = np.where(self._near, self._ranks, self._index.n_cells)
        first = np.argsort(ranks, axis=1)[:, :K]
        gaps = np.where(self._near, self._gaps, 0)
        return np.take_along_axis(ranks, first, axis=1), np.take_along_axis(gaps, first, axis=1)

    def _narrowest(self, ranks: Ranks, gaps: FloatArray, kept: float) -> _Reach:
        """Return the reach with the fewest codes that contains this share of the neighbours."""
        n_cells = self._index.n_cells
        exists = ranks < n_cells
        best = _Reach(n_cells, float(self._all_gaps.max()), float(len(self._codes.ids)))
        for quantile in GAP_QUANTILES:
            gap = float(np.quantile(gaps[exists], quantile, method="higher"))
            reached = np.where(gaps <= gap, ranks, n_cells)[exists]
            n_probes = int(np.quantile(reached, kept, method="higher")) + 1
            if n_probes > n_cells:
                continue
            is_read = self._all_gaps <= gap
            is_read[:, n_probes:] = False
            read = float((self._sizes * is_read).sum(axis=1).mean())
            if read < best.read:
                best = _Reach(n_probes, gap, read)
        return best

    def rescored(
        self, reaches: Sequence[_Reach], goal: float
    ) -> Iterator[tuple[_Reach, int, float]]:
        """Yield (reach, rows to compare exactly, recall) for each reach that reaches the goal."""
        ranks: dict[_Reach, list[Ranks]] = {reach: [] for reach in reaches}
        for i in range(len(self._queries)):
            wanted = [reach for reach in ranks if i < _n_queries(reach)]
            for reach, found in zip(wanted, self._estimate_ranks(i, wanted), strict=True):
                ranks[reach].append(found)
        for reach, rows in ranks.items():
            first = np.sort(np.array(rows), axis=1)[:, :K]
            exists = np.arange(K) < self._near[: len(rows)].sum(axis=1, keepdims=True)
            all_ranks = np.sort(first[exists])
            needed = ceil(goal * len(all_ranks))
            if needed and all_ranks[needed - 1] < _MISSED:
                least = ceil(LEAST_RESCORED * max(1.0, sqrt(512 / self._index.dim)))
                count = max(int(all_ranks[needed - 1]) + 1, least)
                yield reach, count, float(np.searchsorted(all_ranks, count) / len(all_ranks))

    def _estimate_ranks(self, i: int, reaches: Sequence[_Reach]) -> Iterator[Ranks]:
        """Yield, per reach, the ranks of a query's near neighbours among the estimates.

        Each of shape (KEPT,); _MISSED if the reach does not read the neighbour's cell.
        """
        all_n = [int((self._all_gaps[i, : r.n_probes] <= r.gap).sum()) for r in reaches]
        widest = max(all_n, default=0)
        cells, sizes = self._order[i, :widest], self._sizes[i, :widest]
        if not widest:
            return
        rows = np.concatenate([np.arange(*self._starts[c : c + 2]) for c in cells.tolist()])
        which = np.repeat(np.arange(widest), sizes)
        query = self._queries[i : i + 1]
        order = np.argsort(-self._index.estimates(query, cells, self._codes.take(rows), which))
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        is_read = self._near[i] & (self._ranks[i] < widest)
        ranks = self._ranks[i, is_read]
        offsets = self._positions[i, is_read] - self._starts[cells[ranks]]
        places = place[(np.cumsum(sizes) - sizes)[ranks] + offsets]
        for n in all_n:
            before = np.cumsum(which[order] < n)
            result = np.full(KEPT, _MISSED)
            result[is_read] = np.where(ranks < n, before[places] - 1, _MISSED)
            yield result


def _n_queries(reach: _Reach) -> int:
    return max(_FEWEST_QUERIES, int(_MAX_READ / max(reach.read, 1)))
