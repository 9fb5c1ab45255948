"""A database: which SQL its server speaks, and the collections in it."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from lookalike.collection.collection import Collection
from lookalike.collection.deletion import delete_collection
from lookalike.collection.renaming import rename_collection
from lookalike.core.errors import (
    ConnectionFailed,
    InputError,
    MissingExtra,
    ServerError,
)
from lookalike.core.types import CollectionRemoval, Metric, Status
from lookalike.database.connection import Connection, Row, Tracer
from lookalike.database.functions import install_functions
from lookalike.database.pool import SIZE, TIMEOUT_SECONDS
from lookalike.database.probe import probe
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Dialect, Statement, is_name
from lookalike.models.base import Model
from lookalike.server import PrivateServer

if TYPE_CHECKING:
    import pandas as pd

URL_VARIABLE = "LOOKALIKE_DATABASE"


def connect(
    url: str | None = None,
    *,
    tracer: Tracer | None = None,
    notify: Callable[[str], None] = lambda line: None,
    pool_size: int = SIZE,
    pool_timeout: float = TIMEOUT_SECONDS,
) -> "Database":
    """Connect to a database, by default to the private MySQL, which is started when needed.

    url: mysql://user:password@host:port/database; without one, the LOOKALIKE_DATABASE variable
    decides, and then the private MySQL. tracer: called with every statement before it runs.
    notify: called with one line about what takes long or was decided for you. pool_size: how many
    connections to open at most, 2 or more; pool_timeout: how many seconds to wait for one while all
    are in use. Threads may share the database; `tracer` and `notify` are called in theirs.

    Raises ConnectionFailed, UnsupportedServer where the server has no VECTOR type, and
    ServerError where the private MySQL is not installed or does not start.
    """
    given = url or os.environ.get(URL_VARIABLE)
    open_pool = partial(Connection, tracer=tracer, pool_size=pool_size, pool_timeout=pool_timeout)
    if given:
        connection = _connect_to(DatabaseURL.parse(given), open_pool)
    else:
        connection = _connect_privately(open_pool, notify)
    try:
        return Database(connection, probe(connection), notify=notify)
    except BaseException:
        connection.close()
        raise


def _connect_to(url: DatabaseURL, open_pool: Callable[..., Connection]) -> Connection:
    """Connect to a URL; where that is the private MySQL's, only if it is this user's own."""
    if path := url.options.get("unix_socket"):
        server = PrivateServer()
        if path == str(server.socket):
            return open_pool(url, dial=server.dial)
    return open_pool(url)


def _connect_privately(
    open_pool: Callable[..., Connection], notify: Callable[[str], None]
) -> Connection:
    server = PrivateServer()
    try:
        return open_pool(DatabaseURL.parse(server.url), dial=server.dial)
    except (ConnectionFailed, ServerError):
        notify("Starting the private MySQL.")
        server.start()
        # With a long home its socket may be another one now.
        return open_pool(DatabaseURL.parse(server.url), dial=server.dial)


class Database:
    """A connected database; close it, or use it in a `with` statement.

    Any number of threads may share it. Each statement takes a connection of a pool, a transaction
    keeps one until it ends; connections that were lost are replaced.
    """

    def __init__(
        self, connection: Connection, dialect: Dialect, *, notify: Callable[[str], None]
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self._notify = notify

    def collection(
        self,
        name: str = "image_embeddings",
        *,
        model: str | Model | None = None,
        dim: int | None = None,
        metric: Metric | None = None,
    ) -> Collection:
        """Open a collection; its table is created by the first `add`.

        model: a model's name, or a model; without one, the collection's own, or "auto" for a
        new one. dim: the length of embeddings that you bring yourself, instead of a model.
        metric: what a new collection ranks by: "cosine", the default, "euclidean" or "dot".

        Raises ModelError where the collection's embeddings are another model's.
        """
        return Collection(
            self.connection,
            self.dialect,
            name,
            model=model,
            dim=dim,
            metric=metric,
            notify=self._notify,
        )

    def collections(self) -> list[str]:
        """Return the names of the tables that are collections, sorted."""
        names = [row[0] for row in self.connection.query(self.dialect.collection_names())]
        return [name for name in names if is_name(name)]

    def status(self) -> list[Status]:
        """Return what each collection holds, by name; tables that cannot be one are left out."""
        found = []
        for name in self.collections():
            try:
                collection = self.collection(name)
            except InputError:
                continue
            found.append(collection.status())
        return found

    def delete_collection(
        self, name: str, *, keep_table: bool = False, dry_run: bool = False
    ) -> CollectionRemoval:
        """Delete a collection: its tables, its index and what is noted of it; files stay.

        keep_table: keep the collection's table, and delete what lookalike has beside it. A table
        that lookalike did not make, or that has columns of your own, is deleted in no other way.
        dry_run: tell what would go, and delete nothing.

        Raises InputError, and deletes nothing, where there is no such collection or a foreign key
        of another table refers to it; DatabaseError while another client trains its index.
        """
        return delete_collection(
            self.connection, self.dialect, name, keep_table=keep_table, dry_run=dry_run
        )

    def rename_collection(self, name: str, new_name: str) -> Collection:
        """Give a collection, its tables and its index another name, and open it.

        A call that was cut short is finished by the same call. Raises InputError where there is no
        such collection or the new name is taken; DatabaseError while a client trains its index.
        """
        rename_collection(self.connection, self.dialect, name, new_name)
        return self.collection(new_name)

    def sql(self, query: str, params: tuple[Any, ...] = ()) -> "pd.DataFrame":
        """Run any SQL and return its result as a pandas DataFrame, empty where it has none.

        params: bound to the %s of the query. A VECTOR is an array of shape (dim,), float32.

        Raises MissingExtra without the extra `pandas`, and InputError for what only a `session`
        keeps: SET, START TRANSACTION, LOCK and others.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "Database.sql") from error
        columns, rows = self.rows(query, params)
        return pd.DataFrame(rows, columns=columns)

    def rows(self, query: str, params: tuple[Any, ...] = ()) -> tuple[list[str], list[Row]]:
        """Run any SQL like `sql`, and return its column names and rows as they are."""
        return self.connection.table_of_any(Statement(query, tuple(params)))

    @contextmanager
    def session(self) -> Iterator[Self]:
        """Keep one connection for this thread's statements in a `with` block, then close it.

        For what belongs to a connection: variables and settings, transactions of your own,
        temporary tables, locks. Other threads go on with connections of their own.

        Example:
            >>> with db.session():
            ...     done = db.rows("SET @x = 1")
            ...     db.rows("SELECT @x")
            (['@x'], [(1,)])
        """
        with self.connection.session():
            yield self

    def install_functions(self) -> list[str]:
        """Make my_dot_product, my_vec_norm and DISTANCE in this database, and name them."""
        return install_functions(self.connection)

    def close(self) -> None:
        """Close all connections; closing twice is harmless."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
