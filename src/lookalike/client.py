"""Connect to a database and open the collections in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from lookalike.collection.collection import Collection
from lookalike.collection.request import Request
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import wrong
from lookalike.core.errors import (
    ConnectionFailed,
    InputError,
    MissingExtra,
    ServerError,
)
from lookalike.core.progress import StepProgress, silent
from lookalike.core.types import INDEX_SIZES, IndexSizes, Metric
from lookalike.database.cluster_options import Reads, options_of
from lookalike.database.connection import Connection, Row, Tracer
from lookalike.database.pool import SIZE, TIMEOUT_SECONDS
from lookalike.database.probe import probe, require_functions
from lookalike.database.url import DatabaseURL
from lookalike.database.user_tables import Wanted
from lookalike.dialects import Dialect, Statement, check_shards, is_name
from lookalike.server.address import PrivateAddress, private_at, private_of

if TYPE_CHECKING:
    import pandas as pd

    from lookalike.core.reports import (
        ClusterMember,
        CollectionCopy,
        CollectionRemoval,
        IndexStatus,
        Status,
    )
    from lookalike.models.base import Model

URL_VARIABLE = "LOOKALIKE_DATABASE"


def connect(
    url: str | None = None,
    *,
    tracer: Tracer | None = None,
    notify: Callable[[str], None] = lambda line: None,
    pool_size: int = SIZE,
    pool_timeout: float = TIMEOUT_SECONDS,
    index_sizes: IndexSizes = INDEX_SIZES,
    reads: Reads | None = None,
    read_your_writes: bool | None = None,
) -> Database:
    """Connect to a database; by default, to the private MySQL, started on demand.

    "mariadb://" alone stands for the private MariaDB, and "mysql://" for the private MySQL.

    Threads may share the database; `tracer` and `notify` are called in the threads that use it.

    Args:
        url: mysql://user:password@host:port/database, for a cluster host,host,host; mariadb://...
            By default the LOOKALIKE_DATABASE variable, or else the private MySQL.
        tracer: Called with every statement before it runs.
        notify: Called with one line about slow steps and automatic choices.
        pool_size: Maximum number of connections, 2 or more.
        pool_timeout: How long to wait for a connection while all are in use, in seconds.
        index_sizes: From how many rows an index is trained, and from how many it has several cells.
        reads: Of a cluster: who searches, "nearest" (default; a secondary) or "primary".
        read_your_writes: Of a cluster: searches see all that this Database has committed before.

    Raises:
        InputError: An argument is out of range.
        ConnectionFailed: The server is down, or refuses the login.
        UnsupportedServer: The server has no VECTOR type, or is not what the URL says.
        ServerError: The private server is not installed or does not start.
    """
    if not isinstance(index_sizes, IndexSizes):
        raise wrong("index_sizes", index_sizes, "an IndexSizes")
    given = url or os.environ.get(URL_VARIABLE)
    open_pool = partial(Connection, tracer=tracer, pool_size=pool_size, pool_timeout=pool_timeout)
    if private := private_of(given):
        options_of(DatabaseURL.parse(private.url), reads, read_your_writes)
        connection = _connect_privately(private, open_pool, notify)
    else:
        parsed = DatabaseURL.parse(given or "")
        options = options_of(parsed, reads, read_your_writes)
        # A private server's socket must belong to this user's server.
        local = private_at(parsed.options.get("unix_socket"))
        dial = local.dial if local else None
        connection = open_pool(parsed, cluster=options, notify=notify, dial=dial)
    try:
        return Database(connection, probe(connection), notify=notify, index_sizes=index_sizes)
    except BaseException:
        connection.close()
        raise


def _connect_privately(
    private: PrivateAddress, open_pool: Callable[..., Connection], notify: Callable[[str], None]
) -> Connection:
    try:
        return open_pool(DatabaseURL.parse(private.url), dial=private.dial)
    except (ConnectionFailed, ServerError):
        from lookalike.server.private import PrivateServer

        server = PrivateServer(engine=private.engine.name)
        notify(f"Starting the private {private.engine.title}.")
        server.start()
        # If the home path is long, starting the server may have changed the socket's path.
        return open_pool(DatabaseURL.parse(server.url), dial=server.dial)


class Database:
    """A connected database; close it, or use it in a `with` statement.

    Any number of threads may share it. Each statement takes a connection from a pool, and a
    transaction keeps one until it ends; lost connections are replaced.
    """

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        *,
        notify: Callable[[str], None],
        index_sizes: IndexSizes = INDEX_SIZES,
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self._notify = notify
        self._index_sizes = index_sizes

    def collection(
        self,
        name: str = "image_embeddings",
        *,
        model: str | Model | None = None,
        dim: int | None = None,
        metric: Metric | None = None,
        shards: Sequence[str] = (),
    ) -> Collection:
        """Open a collection; the first `add` creates its table.

        Args:
            name: Name of the collection and its table.
            model: A model or its name. By default the collection's own; "auto" for a new one.
            dim: Length of embeddings that you bring yourself, instead of a model.
            metric: How a new collection ranks: "cosine" (default), "euclidean" or "dot".
            shards: Servers to spread a new collection over, by their names in CREATE SERVER: on
                MariaDB with Spider.

        Raises:
            ModelError: The stored embeddings are another model's.
        """
        spread = check_shards(shards) if shards else ()
        request = Request(name, model, dim, metric, spread)
        return Collection(
            CollectionState(self.connection, self.dialect, request, self._notify, self._index_sizes)
        )

    def table(
        self,
        table: str,
        *,
        schema: str | None = None,
        vector: str | None = None,
        id: str | None = None,
        name: str | None = None,
        metric: Metric | None = None,
        alias: str | None = None,
    ) -> Collection:
        """Index a table of your own by its VECTOR column, or open it if it has its index already.

        The table itself is never altered, and lookalike never writes to it. Where the account may
        create triggers on it, they tell the index what other programs change.

        Args:
            table: Name of the table, or the name that it was registered by.
            schema: Its database; by default the connection's.
            vector: The VECTOR column; may be left out if there is one.
            id: The key, of any type; by default the primary key.
            name: Column with the rows' names, if any.
            metric: How searches rank: "cosine" (default), "euclidean" or "dot".
            alias: Name to register; by default the table's.

        Raises:
            InputError: The table cannot be indexed, or its name is taken; the message says what to
                change.

        Example:
            >>> _ = db.rows("CREATE TABLE shoes (sku INT PRIMARY KEY, photo VECTOR(2))")
            >>> _ = db.rows("INSERT INTO shoes VALUES (7, STRING_TO_VECTOR('[1,0]'))")
            >>> [match.id for match in db.table("shoes").search([1, 0.2])]
            [7]
        """
        from lookalike.collection.registering import open_table

        wanted = Wanted(table, schema, vector, id, name, metric, alias)
        return Collection(
            open_table(self.connection, self.dialect, wanted, self._notify, self._index_sizes)
        )

    def tables(self) -> list[IndexStatus]:
        """Return the status of the index of each table of your own, by name.

        What is wrong with a table that is gone or changed, is among its problems.
        """
        from lookalike.collection.indexing import status_of_lost
        from lookalike.database.user_tables import registered_tables

        found = []
        for table in registered_tables(self.connection, self.dialect):
            try:
                found.append(self.collection(table.name).index.status())
            except InputError as error:
                found.append(status_of_lost(self.connection, table, error))
        return found

    def drop_index(self, name: str) -> None:
        """Drop the index of a collection or of a table of your own; the table stays.

        Works for a table of your own that is gone, too.

        Raises:
            InputError: There is no collection, and no table is registered, by this name.
        """
        from lookalike.collection.user_tables import drop
        from lookalike.database.user_tables import registered_tables

        is_own = bool(registered_tables(self.connection, self.dialect, name))
        if is_own or name not in self.collections():
            drop(self.connection, self.dialect, name)
        else:
            self.collection(name).index.drop()

    def members(self) -> list[ClusterMember]:
        """Return the servers of a cluster: their roles, and who answers searches; else none."""
        cluster = self.connection.cluster
        return cluster.status() if cluster else []

    @property
    def url(self) -> str:
        """The database's URL, without the password."""
        return str(self.connection.url)

    def collections(self) -> list[str]:
        """Return the names of all collections, sorted."""
        names = [row[0] for row in self.connection.query(self.dialect.collection_names())]
        return [name for name in names if is_name(name)]

    def status(self) -> list[Status]:
        """Return the status of each collection, by name; unusable tables are skipped."""
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
        """Delete a collection: its tables, index and records. Image files are kept.

        Args:
            name: Name of the collection.
            keep_table: Keep the collection's own table and delete everything else. Required for a
                table that lookalike did not create, or that has columns of your own.
            dry_run: Report what would be deleted, and delete nothing.

        Raises:
            InputError: There is no such collection, or another table's foreign key refers to it;
                nothing is deleted.
            DatabaseError: Another client is training its index.
        """
        from lookalike.collection.deletion import delete_collection

        return delete_collection(
            self.connection, self.dialect, name, keep_table=keep_table, dry_run=dry_run
        )

    def rename_collection(self, name: str, new_name: str) -> Collection:
        """Rename a collection with its tables and index, and open it.

        Repeat the call if it was interrupted: it finishes the renaming.

        Args:
            name: Current name.
            new_name: New name.

        Raises:
            InputError: There is no such collection, or the new name is taken.
            DatabaseError: A client is training its index.
        """
        from lookalike.collection.renaming import rename_collection

        rename_collection(self.connection, self.dialect, name, new_name)
        return self.collection(new_name)

    def copy_collection(
        self,
        name: str,
        to: Database,
        *,
        dry_run: bool = False,
        progress: StepProgress = silent,
    ) -> CollectionCopy:
        """Copy a collection to another database, of any engine, and index it there.

        Embeddings are copied byte for byte, with ids, names, files, failures, attributes, facts,
        decisions and the threshold; at the end both are compared. This database is only read.
        Repeat the call if it was interrupted: it goes on. Until it has finished, the copy's
        `status()` says so, and nothing can be added to it.

        Args:
            name: Name of the collection, here and there.
            to: The other database.
            dry_run: Check whether it can be copied, and copy nothing.
            progress: Called with (step, rows done, rows in all).

        Raises:
            InputError: There is no such collection, the other server cannot hold it, or the other
                database has another collection of this name; that stays as it is.
            DatabaseError: The collection does not stop to change; what was copied is kept.
        """
        from lookalike.collection.copying import copy_collection

        if not isinstance(to, Database):
            raise wrong("to", to, "a Database")
        return copy_collection(
            self._state(name), to._state(name), dry_run=dry_run, progress=progress
        )

    def _state(self, name: str) -> CollectionState:
        request = Request(name, None, None, None)
        return CollectionState(
            self.connection, self.dialect, request, self._notify, self._index_sizes
        )

    def sql(self, query: str, params: tuple[Any, ...] = ()) -> pd.DataFrame:
        """Run any SQL and return its result as a pandas DataFrame, empty if there is none.

        A VECTOR becomes an array of shape (dim,), float32.

        Args:
            query: SQL with %s placeholders.
            params: Values for the placeholders.

        Raises:
            MissingExtra: The extra `pandas` is not installed.
            InputError: The statement needs a `session`: SET, START TRANSACTION, LOCK and others.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingExtra("pandas", "Database.sql") from error
        columns, rows = self.rows(query, params)
        return pd.DataFrame(rows, columns=columns)

    def rows(self, query: str, params: tuple[Any, ...] = ()) -> tuple[list[str], list[Row]]:
        """Run any SQL like `sql`, and return (column names, rows)."""
        return self.connection.table_of_any(Statement(query, tuple(params)))

    @contextmanager
    def session(self) -> Iterator[Self]:
        """Use one connection for this thread's statements in a `with` block, then close it.

        Needed for state of a connection: variables and settings, your own transactions, temporary
        tables, locks. Other threads keep using other connections.

        Example:
            >>> with db.session():
            ...     done = db.rows("SET @x = 1")
            ...     db.rows("SELECT @x")
            (['@x'], [(1,)])
        """
        with self.connection.session():
            yield self

    def install_functions(self) -> list[str]:
        """Create my_dot_product, my_vec_norm and DISTANCE in this database; return their names."""
        require_functions(self.connection, self.dialect)
        from lookalike.database.functions import install_functions

        return install_functions(self.connection)

    def install_native_functions(self) -> list[str]:
        """Build the native functions, create them on the server, and return their names.

        They belong to the whole server. Needs gcc, a server on this machine, write access to its
        plugin folder, and SELECT, INSERT and DELETE on mysql.*.

        Raises:
            ServerError: gcc is missing or failed.
            DatabaseError: Something else is missing; the message has an administrator's commands.
        """
        require_functions(self.connection, self.dialect)
        from lookalike.database.native import install_native

        return install_native(self.connection)

    def remove_native_functions(self) -> list[str]:
        """Drop the native functions, delete their file, and return the names of those there were.

        Raises:
            DatabaseError: A privilege is missing; the message has an administrator's statements.
        """
        if not self.dialect.has_functions:
            return []
        from lookalike.database.native import remove_native

        return remove_native(self.connection)

    def native_functions(self) -> frozenset[str]:
        """Return the names of the native functions that the server has; no privilege is needed."""
        from lookalike.database.native import native_functions

        return native_functions(self.connection)

    def install_mysql_ai(self) -> list[str]:
        """Create sys.ML_SIMILARITY_SEARCH for the vector store of Oracle's client; return its name.

        Needs CREATE ROUTINE, ALTER ROUTINE and EXECUTE on the database sys. To remove it:
        DROP PROCEDURE sys.ML_SIMILARITY_SEARCH.

        Raises:
            DatabaseError: The server has one of its own, or the user lacks a privilege.
        """
        require_functions(self.connection, self.dialect)
        from lookalike.database.mysql_ai import install_mysql_ai

        return install_mysql_ai(self.connection)

    def close(self) -> None:
        """Close all connections; closing twice is harmless."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
