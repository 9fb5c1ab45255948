"""Everything that the database has of collections, to compare."""

from lookalike import Database
from tests.collection.albums import everything

COUNTING = ("lookalike_index_versions", "lookalike_index_log", "lookalike_runs")
"""Tables that tell what has happened, not what is there."""


def snapshot(db: Database) -> dict[str, tuple[str, list[str]]]:
    found = everything(db)
    return {name: rows for name, rows in found.items() if name not in COUNTING}
