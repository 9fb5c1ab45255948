"""Open a table of the user's own: register it, and build its index, on first use."""

from collections.abc import Callable

from lookalike.collection import user_tables
from lookalike.collection.request import Request
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import check_text
from lookalike.core.errors import ConnectionFailed, InputError, LookalikeError
from lookalike.core.types import METRICS, IndexSizes
from lookalike.database.connection import Connection
from lookalike.database.user_tables import Wanted
from lookalike.dialects import Dialect


def open_table(
    connection: Connection,
    dialect: Dialect,
    wanted: Wanted,
    notify: Callable[[str], None],
    index_sizes: IndexSizes,
) -> CollectionState:
    """Return the state of a registered table; a new one is registered and indexed.

    If that fails, nothing of it is left.
    """
    for what in ("table", "schema", "vector", "id", "name", "alias"):
        if (value := getattr(wanted, what)) is not None:
            check_text(what, value)
    if wanted.metric is not None and wanted.metric not in METRICS:
        raise InputError(f"unknown metric {wanted.metric!r}; choose {', '.join(METRICS)}")
    table, is_new = user_tables.register(connection, dialect, wanted, notify)
    request = Request(table.name, None, None, None)
    try:
        state = CollectionState(connection, dialect, request, notify, index_sizes)
        if is_new:
            state.maintain()
    except ConnectionFailed:
        raise
    except LookalikeError:
        if is_new:
            user_tables.drop(connection, dialect, table.name)
        raise
    return state
