"""Duplicates found with options that `CollectionDuplicates.find` does not take."""

from lookalike import Collection, DuplicateGroup
from lookalike.collection import duplicates
from lookalike.collection.duplicates import Steps
from lookalike.duplicates.find import DuplicateOptions


def find_with(
    collection: Collection, progress: Steps = lambda what, done, total: None, **options
) -> list[DuplicateGroup]:
    """Find duplicates; the index is asked about more than `most_compared` pictures."""
    return duplicates.find(collection._state, DuplicateOptions(**options), progress)
