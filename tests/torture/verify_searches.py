"""Compares every search with numpy: those beside all that goes on, and those of the inspection."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric
from tests.torture import data
from tests.torture.journal import DONE, Action
from tests.torture.problems import Problem

Numbers = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TIE = 1e-3
"""A row less similar than a true neighbour by this share is as good."""

ROUNDING = 1e-9
FAR_OFF = 0.5
ENOUGH = 8
"""A recall below FAR_OFF, of so many neighbours or more, is a problem by itself."""
_CHUNK = 64


@dataclass(frozen=True)
class Visible:
    """The rows that a search must see, may see, and, through the index, must find."""

    must: Mask
    may: Mask
    promised: Mask


class Rows(Protocol):
    """What searches are compared with."""

    names: list[str]
    index: dict[str, int]
    vectors: data.Vectors

    def others(self, row: int) -> list[data.Vectors]:
        """Other embeddings that a row may have had."""

    @property
    def changed(self) -> list[int]:
        """The rows that have others."""

    def visible(self, action: Action) -> Visible:
        """What a search may have seen."""


@dataclass
class Recall:
    """Recalls of searches through the index, by what they asked for."""

    plain: list[float] = field(default_factory=list)
    """recall@10, without filters"""

    others: list[float] = field(default_factory=list)
    """For other k, with filters, and of pages."""


@dataclass
class Judged:
    """What comparing searches has come to."""

    compared: int = 0
    recall: Recall = field(default_factory=Recall)
    problems: list[Problem] = field(default_factory=list)


def similarities(queries: npt.ArrayLike, vectors: data.Vectors, metric: Metric) -> Numbers:
    """Return how similar each vector is to each query, shape (n_queries, n), in float64.

    A vector of zeros has no cosine: it is as far as can be.
    """
    q, x = np.asarray(queries, np.float64), np.asarray(vectors, np.float64)
    dots: Numbers = q @ x.T
    if metric == "dot":
        return dots
    squares_q, squares_x = (q**2).sum(axis=1)[:, np.newaxis], (x**2).sum(axis=1)
    if metric == "cosine":
        lengths = np.sqrt(squares_q * squares_x)
        return np.where(lengths > 0, dots / np.where(lengths > 0, lengths, 1), -np.inf)
    return np.asarray(-np.sqrt(np.maximum(squares_q + squares_x - 2 * dots, 0)))


def judge_searches(rows: Rows, actions: Sequence[Action], metric: Metric) -> Judged:
    """Compare all searches that have an answer."""
    judged = Judged()
    searches = [a for a in actions if a.kind == "search" and a.outcome == DONE]
    dim = rows.vectors.shape[1]
    for start in range(0, len(searches), _CHUNK):
        part = searches[start : start + _CHUNK]
        queries = [data.query(search.given["query"], dim, metric) for search in part]
        for search, query, scores in zip(
            part, queries, similarities(queries, rows.vectors, metric), strict=True
        ):
            judge = _Judge(rows, search, query, scores, metric)
            judged.problems += judge.problems()
            judged.compared += 1
            recall = judge.recall()
            if recall is not None:
                is_plain = search.given["k"] == 10 and "shelf" not in search.given
                (judged.recall.plain if is_plain else judged.recall.others).append(recall)
    return judged


class _Judge:
    """One search and its answer, compared with numpy."""

    def __init__(
        self, rows: Rows, search: Action, query: data.Vectors, scores: Numbers, metric: Metric
    ) -> None:
        self._rows = rows
        self._search = search
        self._scores = scores
        self._matches: list[tuple[int, str, float]] = search.result["matches"]
        self._k: int = search.given["k"]
        self._offset: int = search.given.get("offset", 0)
        self._is_exact: bool = search.given.get("exact", False)
        self._found = [rows.index[m[1]] for m in self._matches if m[1] in rows.index]
        # Of rows that have changed, the most similar of their embeddings.
        self._others = {
            row: similarities([query], np.stack(others), metric)[0]
            for row in rows.changed
            if (others := rows.others(row))
        }
        self._most = scores.copy()
        for row, other in self._others.items():
            self._most[row] = max(scores[row], other.max())
        visible = rows.visible(search)
        self._visible = Visible(
            visible.must & (scores > -np.inf),
            visible.may & (self._most > -np.inf),
            visible.promised,
        )
        self._due = self._due_rows()

    def problems(self) -> Iterator[Problem]:
        """Yield every broken promise but an imperfect recall."""
        yield from self._odd_order()
        yield from self._wrong_rows()
        fluid = int((self._visible.may & ~self._visible.must).sum())
        fewest = min(self._k, max(0, int(self._visible.must.sum()) - self._offset)) - fluid
        if len(self._matches) < fewest:
            yield self._problem("fewer than k", f"{len(self._matches)} of {fewest}")
        if self._is_exact:
            lacking = np.setdiff1d(self._due, self._found)
            if lacking.size:
                names = [self._rows.names[i] for i in lacking[:3]]
                yield self._problem("exact search missed rows", f"{lacking.size}: {names}")
        else:
            recall = self.recall()
            if recall is not None and recall < FAR_OFF and len(self._promised_due()) >= ENOUGH:
                best = float(self._scores[self._due].max())
                yield self._problem("recall far off", f"{recall:.2f}, the best is {best:.4f}")

    def recall(self) -> float | None:
        """Return the share of due rows that an indexed search has found, None where none is due."""
        due = self._promised_due()
        if self._is_exact or not due.size:
            return None
        lacking = np.setdiff1d(due, self._found)
        if len(self._matches) >= self._k:
            worst = self._matches[-1][2]
            scores = self._scores[lacking]
            lacking = lacking[scores - worst > TIE * np.abs(scores)]
        return 1 - lacking.size / due.size

    def _promised_due(self) -> npt.NDArray[np.intp]:
        return self._due[self._visible.promised[self._due]]

    def _due_rows(self) -> npt.NDArray[np.intp]:
        """The rows that are among the k best, whatever the search has seen."""
        visible = self._visible
        if self._offset:
            return np.empty(0, np.intp)
        may = self._most[visible.may]
        if len(may) <= self._k:
            return np.flatnonzero(visible.must)
        kth = np.partition(may, -self._k)[-self._k]
        slack = ROUNDING * abs(kth)
        is_tied = int((may >= kth - slack).sum()) > self._k
        least = kth + slack if is_tied else kth - slack
        return np.flatnonzero(visible.must & (self._scores >= least))

    def _odd_order(self) -> Iterator[Problem]:
        ids = [match[0] for match in self._matches]
        if len(set(ids)) < len(ids):
            yield self._problem("row twice in an answer", str(ids))
        if len(ids) > self._k:
            yield self._problem("more than k", f"{len(ids)}")
        keys = [(-match[2], match[0]) for match in self._matches]
        if keys != sorted(keys):
            yield self._problem("answer out of order", str(self._matches)[:300])

    def _wrong_rows(self) -> Iterator[Problem]:
        for row_id, name, score in self._matches:
            i = self._rows.index.get(name)
            if i is None or not self._visible.may[i]:
                yield self._problem("answer with a row that was not there", f"{row_id} {name!r}")
                continue
            possible = [self._scores[i], *self._others.get(i, ())]
            if not any(abs(score - p) <= 1e-6 * max(1e-3, abs(p)) for p in possible):
                yield self._problem("wrong similarity", f"{name!r} {score}, not {possible}")

    def _problem(self, kind: str, detail: str) -> Problem:
        where = self._search.given.get("step") or "beside the others"
        return Problem(f"{kind} ({where})", f"{detail}; {self._search}")


def judge_pages(rows: Rows, pages: Action, metric: Metric) -> tuple[float | None, list[Problem]]:
    """Compare the pages of a search: nothing twice, and together the best; return the recall."""
    found = [row for page in pages.result["pages"] for row in page]
    query = data.query(pages.given["query"], rows.vectors.shape[1], metric)
    visible = rows.visible(pages)
    scores = np.where(visible.must, similarities([query], rows.vectors, metric)[0], -np.inf)
    due = np.argsort(-scores, kind="stable")[: min(len(found), int((scores > -np.inf).sum()))]
    names = {rows.names[i] for i in due}
    problems = []
    if len({row[0] for row in found}) < len(found):
        repeated = len(found) - len({row[0] for row in found})
        problems.append(Problem("row on two pages", f"{repeated} of {len(found)}: {pages}"))
    hits = len(names & {row[1] for row in found})
    if pages.given["exact"] and hits < len(names):
        problems.append(Problem("exact pages missed rows", f"{len(names) - hits}: {pages}"))
    return (None if pages.given["exact"] or not names else hits / len(names)), problems
