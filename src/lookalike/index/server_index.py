"""The server's own vector index, for engines that have one."""

from lookalike.core.errors import DatabaseError
from lookalike.dialects.base import SERVER_INDEX
from lookalike.index.store import IndexStore


def maintain(store: IndexStore) -> bool:
    """Create the server's index once the collection is large enough; return whether it was.

    Rows are loaded first: an index slows inserts down far more than its creation takes.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    if table.metric not in dialect.indexed_metrics or has_index(store):
        return False
    if table.id_range() < store.sizes.rows_for_cells:
        return False
    if int(connection.value(dialect.count_embeddings(table))) < store.sizes.rows_for_cells:
        return False
    try:
        for statement in dialect.create_server_index(table, table.metric):
            connection.alter(statement)
    except DatabaseError:
        if dialect.needs_server_index:
            raise
        return False
    return True


def has_index(store: IndexStore) -> bool:
    """Whether the server has an index of the embeddings, lookalike's or the user's own."""
    table = store.table
    return bool(table.connection.query(table.dialect.server_indexes(table)))


def drop(store: IndexStore) -> bool:
    """Drop the server's index if lookalike created it; return whether it did."""
    table = store.table
    names = [row[0] for row in table.connection.query(table.dialect.server_indexes(table))]
    if SERVER_INDEX not in names:
        return False
    table.connection.alter(table.dialect.drop_server_index(table))
    return True
