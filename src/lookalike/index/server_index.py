"""The server's own vector index, for engines that have one."""

from lookalike.core.errors import DatabaseError
from lookalike.database.errors import DuplicateIndex
from lookalike.database.shards import count_indexes, on_all
from lookalike.dialects.base import SERVER_INDEX
from lookalike.index.store import IndexStore


def maintain(store: IndexStore) -> bool:
    """Create the server's index once the collection is large enough; return whether it was.

    It is not created where lookalike's own index was asked for.
    """
    if store.table.metric not in store.table.dialect.indexed_metrics:
        return False
    return store.state() is None and not has_index(store) and create(store)


def create(store: IndexStore) -> bool:
    """Create the server's index; return False for a collection that is too small for one.

    Rows are loaded first: an index slows inserts down far more than its creation takes.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    if table.id_range() < store.sizes.rows_for_cells:
        return False
    if int(connection.value(dialect.count_embeddings(table))) < store.sizes.rows_for_cells:
        return False
    try:
        statements = dialect.create_server_index(table, table.metric)
        if table.shards:
            on_all(connection, statements)
        else:
            for statement in statements:
                connection.alter(statement)
    except DuplicateIndex:  # another client has made it meanwhile
        return False
    except DatabaseError:
        if dialect.needs_server_index and not has_index(store):  # made by another client
            raise
        return False
    return True


def index_names(store: IndexStore) -> list[str]:
    """Return the names of the server's indexes of the embeddings, also of the user's own."""
    table = store.table
    if table.metric not in table.dialect.indexed_metrics:
        return []
    if table.shards:
        n_indexed = count_indexes(table.connection, table.dialect, table)
        return [SERVER_INDEX] if n_indexed == len(table.shards) else []
    return [row[0] for row in table.connection.query(table.dialect.server_indexes(table))]


def has_index(store: IndexStore) -> bool:
    """Whether the server has an index of the embeddings, lookalike's or the user's own."""
    return bool(index_names(store))


def has_made(store: IndexStore) -> bool:
    """Whether the server has an index that lookalike created."""
    return store.table.source is None and SERVER_INDEX in index_names(store)


def drop(store: IndexStore) -> bool:
    """Drop the server's index if lookalike created it; return whether it did."""
    table = store.table
    if not has_made(store):
        return False
    for statement in table.dialect.drop_server_index(table):
        table.connection.alter(statement)
    return True
