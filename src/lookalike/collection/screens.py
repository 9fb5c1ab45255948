"""Screening against a collection, and the threshold that is stored with it."""

import math
from collections.abc import Iterable
from typing import Any

from lookalike.add.ingest import TIME_LIMIT_SECONDS
from lookalike.collection.state import CollectionState
from lookalike.core.types import Calibration
from lookalike.screening.calibration import calibrate
from lookalike.screening.screener import Screener, expanded
from lookalike.screening.thresholds import (
    default_min_similarity,
    store_min_similarity,
    stored_min_similarity,
)


def screener(
    state: CollectionState,
    min_similarity: float | None,
    k: int = 1,
    time_limit: float = TIME_LIMIT_SECONDS,
    allow_private: bool = False,
) -> Screener:
    """Return what screens images against the collection."""
    return Screener(
        state.index,
        state.model,
        min_similarity=min_similarity,
        k=k,
        time_limit=time_limit,
        allow_private=allow_private,
        notify=state.notify,
    )


def calibrate_threshold(
    state: CollectionState,
    positives: Iterable[Any],
    negatives: Iterable[Any],
    max_false_positive_rate: float | None,
    *,
    store: bool,
) -> Calibration:
    """Suggest a threshold from examples, and store it if so asked."""
    judge = screener(state, None)
    found = calibrate(
        list(judge.best_similarities(expanded(positives))),
        list(judge.best_similarities(expanded(negatives))),
        max_false_positive_rate=max_false_positive_rate,
        highest={"cosine": 1.0, "euclidean": 0.0}.get(state.metric, math.inf),
    )
    if store:
        store_threshold(state, found.min_similarity)
    return found


def threshold(state: CollectionState) -> float:
    """Return the stored threshold, else that of the collection's model."""
    stored = stored_min_similarity(state.table)
    return default_min_similarity(state.model_id, state.metric) if stored is None else stored


def store_threshold(state: CollectionState, value: float) -> None:
    """Store a threshold with the collection."""
    store_min_similarity(state.table, value)
