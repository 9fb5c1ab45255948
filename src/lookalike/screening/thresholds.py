"""From which similarity on an image matches a collection: measured of a model, or stored."""

from lookalike.core.errors import InputError
from lookalike.core.types import Metric
from lookalike.database.errors import MissingTable
from lookalike.database.table import VectorTable
from lookalike.models.measured import measured, owner_of
from lookalike.search.options import SearchOptions


def default_min_similarity(model_id: str | None, metric: Metric) -> float:
    """Return from where on an image is a match. Raises InputError where it was never measured."""
    known = measured(model_id, metric)
    if known is None:
        raise InputError(
            f"no threshold was measured for {owner_of(model_id, metric)}: give --min-similarity, "
            "or measure one with `lookalike calibrate --store`"
        )
    return known.match


def stored_min_similarity(table: VectorTable) -> float | None:
    """Return the threshold that is stored with a collection, None where there is none."""
    try:
        found = table.connection.value(table.dialect.threshold(table))
    except MissingTable:
        # One that cannot be read must not be taken for none: it may be the stricter one.
        return None
    return None if found is None else float(found)


def store_min_similarity(table: VectorTable, min_similarity: float) -> None:
    """Store the threshold of a collection. Raises InputError for one that no image can reach."""
    SearchOptions(min_similarity=min_similarity).check(table.metric)
    for statement in (*table.dialect.create_schema(), table.dialect.create_thresholds()):
        table.connection.execute(statement)
    table.connection.execute(table.dialect.store_threshold(table, min_similarity))
