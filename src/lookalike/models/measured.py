"""Cosines that were measured of a model's embeddings; no model has those of another."""

from typing import NamedTuple

from lookalike.core.types import Metric


class Measured(NamedTuple):
    """From which cosines on two images are the same or alike, by one model's embeddings.

    match: mostly the same picture, cropped, mirrored or darker, for `screen`
    (benchmarks/screening.py). similar: of the tier similar of `duplicates`, near: what duplicates
    have at least, crops too (benchmarks/duplicates.py).
    """

    match: float
    similar: float
    near: float


MEASURED = {"efficientnet-lite2": Measured(match=0.7, similar=0.95, near=0.6)}


def measured(model_id: str | None, metric: Metric) -> Measured | None:
    """What was measured of a model, by id; None for others and for other metrics than cosine."""
    return MEASURED.get(model_id or "") if metric == "cosine" else None


def owner_of(model_id: str | None, metric: Metric) -> str:
    """Name in a message what nothing was measured of."""
    if metric != "cosine":
        return f"the metric {metric}"
    return f"the model {model_id}" if model_id else "embeddings of your own"
