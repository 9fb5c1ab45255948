"""Which index a collection has: lookalike's own, or the server's.

On a server with an index of its own for the metric, a row of `lookalike_indexes` says that
lookalike's own index was asked for, even while it has no generation. An interrupted change of kind
leaves both indexes: then searches use lookalike's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lookalike.core.errors import InputError
from lookalike.core.types import IndexKind, Metric
from lookalike.database.own_tables import no_training
from lookalike.dialects import Dialect
from lookalike.index import server_index
from lookalike.index.store import IndexStore
from lookalike.index.versions import note_changes


def default_kind(dialect: Dialect, metric: Metric) -> IndexKind:
    """Return the kind of index that `add` makes without being asked for another one."""
    return "server" if metric in dialect.indexed_metrics else "lookalike"


def check_kind(dialect: Dialect, metric: Metric, kind: IndexKind) -> None:
    """Raise InputError for a kind of index that the server cannot have."""
    if kind not in ("lookalike", "server"):
        raise InputError(f"{kind!r} is no kind of index: give lookalike or server")
    if kind == "lookalike" and dialect.instead_of_index:
        raise InputError(f"lookalike's own index cannot be built: {dialect.instead_of_index}")
    if kind == "server" and not dialect.indexed_metrics:
        raise InputError("this server has no vector index of its own to build; give lookalike")
    if kind == "server" and metric not in dialect.indexed_metrics:
        served = " and ".join(sorted(dialect.indexed_metrics))
        raise InputError(
            f"the server's own index is for {served}, and this collection ranks by {metric}; "
            "give lookalike"
        )


def chosen_kind(store: IndexStore) -> IndexKind:
    """Return the kind of index that the collection has, or will have when it is large enough."""
    table = store.table
    if table.source or default_kind(table.dialect, table.metric) == "lookalike":
        return "lookalike"
    return "server" if store.state() is None else "lookalike"


def existing_kind(store: IndexStore) -> IndexKind | None:
    """Return the kind of index that searches use; None if they compare every row."""
    if store.load() is not None:
        return "lookalike"
    return "server" if server_index.has_index(store) else None


def choose_ours(store: IndexStore) -> None:
    """Have lookalike's own index made, now or when the collection is large enough."""
    table = store.table
    connection, dialect = table.connection, table.dialect
    for statement in (*dialect.create_schema(), *dialect.create_indexes()):
        connection.execute(statement)
    connection.execute(dialect.choose_ours(table))


@contextmanager
def ours(store: IndexStore, train: Callable[[], bool]) -> Iterator[None]:
    """Have lookalike's own index for a while, trained if there is none.

    Afterwards it is dropped if the collection has the server's.
    """
    is_borrowed = chosen_kind(store) == "server"
    try:
        if store.load() is None:
            train()
        yield
    finally:
        if is_borrowed:
            drop_ours(store)


def has_both(store: IndexStore) -> bool:
    """Whether the collection has indexes of both kinds."""
    return store.load() is not None and server_index.has_made(store)


def drop_ours(store: IndexStore) -> bool:
    """Drop lookalike's own index, and no longer choose it; return whether there was one."""
    from lookalike.index.training import drop_generations  # not needed to search

    table = store.table
    connection, dialect = table.connection, table.dialect
    if (state := store.state()) is None:
        return False
    with no_training(connection, dialect, table.name):
        with connection.transaction():
            store.state("update")  # waits for transactions that write codes
            connection.execute(dialect.forget_index(table))
            note_changes(table, None)
        store.forget_loaded()
        drop_generations(store, but=0)
    return state.generation != 0
