"""Duplicates in a collection: found, judged, grouped, and cleared away."""

from lookalike.duplicates.facade import DuplicateCalls

__all__ = ["DuplicateCalls"]
