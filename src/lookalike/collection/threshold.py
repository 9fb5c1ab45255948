"""The threshold of a collection: the similarity from which `screen` reports a match."""

import math
from collections.abc import Iterable
from typing import Any

from lookalike.collection.state import CollectionState
from lookalike.core.types import Calibration
from lookalike.screening.calibration import calibrate
from lookalike.screening.screener import Screener, expanded
from lookalike.screening.thresholds import (
    default_min_similarity,
    store_min_similarity,
    stored_min_similarity,
)


class CollectionThreshold:
    """`collection.threshold`: read, store, or suggest it from examples."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def get(self) -> float:
        """Return the stored threshold, or else the model's measured one.

        Raises:
            InputError: There is neither.
        """
        state = self._state
        stored = stored_min_similarity(state.table)
        return default_min_similarity(state.model_id, state.metric) if stored is None else stored

    def set(self, min_similarity: float) -> None:
        """Store a threshold with the collection.

        Raises:
            InputError: No image can reach it.
        """
        store_min_similarity(self._state.table, min_similarity)

    def calibrate(
        self,
        positives: Iterable[Any],
        negatives: Iterable[Any],
        *,
        max_false_positive_rate: float | None = None,
        store: bool = False,
    ) -> Calibration:
        """Suggest a threshold from examples.

        Args:
            positives: Images that should match; as for `screen`, or folders and globs.
            negatives: Images that should not.
            max_false_positive_rate: Largest share of negatives that may match, from 0 to 1.
            store: Store the threshold with the collection.

        Raises:
            ImageError: An example cannot be read.
            InputError: There are too few examples, or no threshold keeps the rate.
        """
        state = self._state
        screener = Screener(state.index, state.model, min_similarity=None, k=1, notify=state.notify)
        found = calibrate(
            list(screener.best_similarities(expanded(positives))),
            list(screener.best_similarities(expanded(negatives))),
            max_false_positive_rate=max_false_positive_rate,
            highest={"cosine": 1.0, "euclidean": 0.0}.get(state.metric, math.inf),
        )
        if store:
            self.set(found.min_similarity)
        return found
