"""The similarity from which an image matches a collection: stored, or measured per model."""

from lookalike.core.errors import InputError
from lookalike.core.types import Metric
from lookalike.database.errors import MissingTable
from lookalike.database.table import VectorTable
from lookalike.models.measured import measured, owner_of
from lookalike.search.options import SearchOptions


def default_min_similarity(model_id: str | None, metric: Metric) -> float:
    """Return the model's measured threshold. Raises InputError if it was never measured."""
    known = measured(model_id, metric)
    if known is None:
        raise InputError(
            f"no threshold was measured for {owner_of(model_id, metric)}: give --min-similarity, "
            "or measure one with `lookalike calibrate --store`"
        )
    return known.match


def stored_min_similarity(table: VectorTable) -> float | None:
    """Return the threshold stored with a collection; None if there is none."""
    try:
        found = table.connection.value(table.dialect.threshold(table))
    except MissingTable:
        # Catch nothing else: an unreadable threshold is not a missing one, it may be stricter.
        return None
    return None if found is None else float(found)


def store_min_similarity(table: VectorTable, min_similarity: float) -> None:
    """Store a collection's threshold. Raises InputError if no image can reach it."""
    SearchOptions(min_similarity=min_similarity).check(table.metric)
    for statement in (*table.dialect.create_schema(), table.dialect.create_thresholds()):
        table.connection.execute(statement)
    table.connection.execute(table.dialect.store_threshold(table, min_similarity))
