"""Vectors for Django: a field, distances, `nearest`, and an operation that creates an index."""

from lookalike import MissingExtra

try:
    import django  # noqa: F401
except ImportError as error:
    raise MissingExtra("django", "lookalike.integrations.django") from error

from lookalike.integrations.django.distances import (
    CosineDistance,
    DotProduct,
    EuclideanDistance,
    L2Distance,
    MaxInnerProduct,
)
from lookalike.integrations.django.fields import VectorField
from lookalike.integrations.django.nearest import nearest
from lookalike.integrations.django.operations import CreateVectorIndex

__all__ = [
    "CosineDistance",
    "CreateVectorIndex",
    "DotProduct",
    "EuclideanDistance",
    "L2Distance",
    "MaxInnerProduct",
    "VectorField",
    "nearest",
]
