"""Measured cosine thresholds per model; they differ between models."""

from typing import NamedTuple

from lookalike.core.types import Metric


class Measured(NamedTuple):
    """Cosines from which two images count as the same or similar, for one model.

    match: mostly the same picture, cropped, mirrored or darker, for `screen`
    (benchmarks/screening.py). similar: for the tier "similar" of `duplicates`. near: the minimum of
    duplicates, including crops (benchmarks/duplicates.py).
    """

    match: float
    similar: float
    near: float


MEASURED = {"efficientnet-lite2": Measured(match=0.7, similar=0.95, near=0.6)}


def measured(model_id: str | None, metric: Metric) -> Measured | None:
    """Return a model's measured cosines; None for other models and metrics."""
    return MEASURED.get(model_id or "") if metric == "cosine" else None


def owner_of(model_id: str | None, metric: Metric) -> str:
    """Return a name, for messages, of the model or vectors that were not measured."""
    if metric != "cosine":
        return f"the metric {metric}"
    return f"the model {model_id}" if model_id else "embeddings of your own"
