"""Suggest a threshold from positive and negative examples."""

import math
from collections.abc import Sequence
from math import inf

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import InputError
from lookalike.core.types import Calibration

ENOUGH = 30
"""Examples of a kind: with none of them wrong, no more than a tenth of all is."""

_OF_THREE = 3


def calibrate(
    positives: Sequence[float],
    negatives: Sequence[float],
    *,
    max_false_positive_rate: float | None = None,
    highest: float = inf,
) -> Calibration:
    """Suggest a threshold from the best similarities of examples.

    positives: of images that should match. negatives: of images that should not. The threshold
    minimises the sum of both error rates; among equally good ones, the middle is chosen.
    max_false_positive_rate: from 0 to 1; minimise the false negatives within this rate instead.
    highest: the largest possible similarity.

    Raises InputError if one kind of example is missing, or no threshold keeps the rate.
    """
    if not len(positives) or not len(negatives):
        raise InputError(
            "calibrate needs images that should match and images that should not match"
        )
    if max_false_positive_rate is not None and not 0 <= max_false_positive_rate <= 1:
        raise InputError(f"max_false_positive_rate is {max_false_positive_rate}; give 0 to 1")
    positive, negative = np.sort(positives), np.sort(negatives)
    edges = _edges(np.unique(np.concatenate([positive, negative])), highest)
    false_negative = np.searchsorted(positive, edges) / len(positive)
    false_positive = 1 - np.searchsorted(negative, edges) / len(negative)
    cost = false_negative + false_positive
    if max_false_positive_rate is not None:
        cost = np.where(false_positive <= max_false_positive_rate, false_negative, np.inf)
        if np.isinf(cost).all():
            raise InputError(
                f"no threshold keeps the false positive rate at {max_false_positive_rate:g}: some "
                "of the negatives look like stored images; remove those from the negatives"
            )
    (best,) = np.nonzero(np.isclose(cost, cost.min()))
    chosen = best[len(best) // 2]
    return Calibration(
        min_similarity=float(edges[chosen]),
        false_positive_rate=float(false_positive[chosen]),
        false_negative_rate=float(false_negative[chosen]),
        positives=len(positive),
        negatives=len(negative),
        enough_positives=ENOUGH,
        enough_negatives=enough_for(max_false_positive_rate),
    )


def enough_for(max_false_positive_rate: float | None) -> int:
    """Return how many negatives can show that a rate is kept.

    Where none of n examples is wrong, the rate is up to 3 / n with 95% confidence: the rule of
    three (Hanley and Lippman-Hand, JAMA 249:1743, 1983).
    """
    rate = max_false_positive_rate or 1.0
    return max(ENOUGH, math.ceil(round(_OF_THREE / rate, 6)))


def _edges(scores: npt.NDArray[np.float64], highest: float) -> npt.NDArray[np.float64]:
    """Return the thresholds that separate the scores (ascending) in different ways.

    Each is in the middle between two neighbours, so that no score is close to it.
    """
    above = scores[-1] + max(1e-6, (1 - scores[-1]) / 2)
    edges = np.concatenate([[scores[0]], (scores[:-1] + scores[1:]) / 2, [above]])
    return np.asarray(edges[edges <= highest])
