"""SQL of tables of the user's own: their registry, and the side tables and triggers of each.

A row of `lookalike_tables` names the table, its columns and its number. Table 7 has, beside the
index tables `lookalike_7_cells_3` and `lookalike_7_codes_3`,

    lookalike_7_changes     seq, id            the log that triggers write: ids of changed rows
    lookalike_7_keys        id, key_value      numbers for keys that are no integers
    lookalike_7_rows        a view: the user's table with these numbers
    lookalike_7_refresh     an event that refreshes the index, if it is scheduled

A table in lookalike's own database has no schema_name, so that a dump can be restored under another
name. Triggers in another database have lookalike's database in their name, as a checksum.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple
from zlib import crc32

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Source, Table, identifier

USER_TABLES = "lookalike_tables"

MAPPED_ID = "lookalike_id"
"""The column of a view that numbers its rows."""

EVENTS = ("insert", "update", "delete")

Kept = Literal["new", "triggers", "tail"]

_NAME = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"


class UserTable(NamedTuple):
    """A row of `lookalike_tables`: a table of the user's own that lookalike indexes.

    schema: its database; None for lookalike's own. kept: how its index is kept true; "new" until
    that is known. is_mapped: whether its keys are numbered by a mapping table.
    """

    number: int
    name: str
    schema: str | None
    table: str
    vector: str
    id_column: str
    name_column: str | None
    metric: str
    kept: Kept
    is_mapped: bool

    @property
    def side_name(self) -> str:
        """The key of its records, and the beginning of its side tables' names."""
        return f"lookalike_{self.number}"

    @property
    def shown(self) -> str:
        """The table's name as users write it."""
        return self.table if self.schema is None else f"{self.schema}.{self.table}"

    @property
    def original(self) -> Source:
        """The table itself, also where a view numbers its keys."""
        return Source(self.schema, self.table, title=self.name)

    def source(self, key_index: str, *, has_integers: bool) -> Source:
        """Return where its rows are read."""
        schema, table = (None, f"{self.side_name}_rows") if self.is_mapped else self[2:4]
        return Source(
            schema,
            table,
            None if self.is_mapped else key_index,
            self.kept == "triggers",
            bool(self.is_mapped),
            has_integers,
            self.name,
        )


class Column(NamedTuple):
    """A column of a table: its type, such as `bigint unsigned`, and its character set."""

    name: str
    type: str
    charset: str | None
    collation: str | None


class UserTablesSQL(Primitives):
    """Statements on tables of the user's own."""

    # The registry.

    def create_user_tables(self) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {USER_TABLES} (\n"
            "    number INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,\n"
            f"    name {_NAME} NOT NULL UNIQUE,\n"
            f"    schema_name {_NAME},\n"
            f"    table_name {_NAME} NOT NULL,\n"
            f"    vector_column {_NAME} NOT NULL,\n"
            f"    id_column {_NAME} NOT NULL,\n"
            f"    name_column {_NAME},\n"
            "    metric VARCHAR(16) NOT NULL,\n"
            "    kept VARCHAR(16) NOT NULL,\n"
            "    is_mapped BOOLEAN NOT NULL DEFAULT 0,\n"
            "    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP\n"
            ") ENGINE = InnoDB"
        )

    def user_tables(self, name: str | None = None) -> Statement:
        """Select all `UserTable`s, or the one of this name."""
        only = "" if name is None else " WHERE name = %s"
        return Statement(
            "SELECT number, name, schema_name, table_name, vector_column, id_column, name_column, "
            f"metric, kept, is_mapped FROM {USER_TABLES}{only} ORDER BY name",
            () if name is None else (name,),
        )

    def register_user_table(self, table: UserTable) -> Statement:
        """Insert a table; its number is made. A name that is taken is error 1062."""
        return Statement(
            f"INSERT INTO {USER_TABLES} (name, schema_name, table_name, vector_column, id_column, "
            f"name_column, metric, kept, is_mapped) VALUES ({places(9)})",
            table[1:],
        )

    def set_kept(self, table: UserTable, kept: Kept) -> Statement:
        return Statement(
            f"UPDATE {USER_TABLES} SET kept = %s WHERE number = %s", (kept, table.number)
        )

    def forget_user_table(self, table: UserTable) -> Statement:
        return Statement(f"DELETE FROM {USER_TABLES} WHERE number = %s", (table.number,))

    # The user's table, as the server describes it.

    def kind_of(self, source: Source) -> Statement:
        """Select (table_type, engine)."""
        is_this, names = Table("x", source=source).is_this
        return Statement(
            f"SELECT table_type, engine FROM information_schema.tables WHERE {is_this}", names
        )

    def describe_columns(self, source: Source) -> Statement:
        """Select the `Column`s, in order."""
        is_this, names = Table("x", source=source).is_this
        return Statement(
            f"SELECT column_name, {self.column_type}, character_set_name, collation_name "
            f"FROM information_schema.columns WHERE {is_this} ORDER BY ordinal_position",
            names,
        )

    def keys_of(self, source: Source) -> Statement:
        """Select (index, column) of unique indexes of one whole column without NULL.

        The primary key comes first.
        """
        is_this, names = Table("x", source=source).is_this
        return Statement(
            "SELECT index_name, MAX(column_name) FROM information_schema.statistics "
            f"WHERE {is_this} AND non_unique = 0 GROUP BY index_name "
            "HAVING COUNT(*) = 1 AND MAX(column_name) IS NOT NULL AND MAX(nullable) = '' "
            f"AND MAX(sub_part) IS NULL AND MIN({self.visible_index}) = 1 "
            "ORDER BY index_name <> 'PRIMARY', index_name",
            names,
        )

    def tables_like(self, schema: str | None) -> Statement:
        """Select the names of a database's tables with a VECTOR column."""
        return Statement(
            "SELECT DISTINCT table_name FROM information_schema.columns "
            f"WHERE table_schema = {'DATABASE()' if schema is None else '%s'} "
            "AND LOWER(LEFT(data_type, 6)) = 'vector' ORDER BY table_name",
            () if schema is None else (schema,),
        )

    def has_schema(self, schema: str) -> Statement:
        return Statement(
            "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", (schema,)
        )

    def largest_key(self, table: UserTable) -> Statement:
        return Statement(f"SELECT MAX({identifier(table.id_column)}) FROM {table.original.sql}")

    # The log and its triggers.

    def create_log(self, table: UserTable, id_type: str) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {_side(table, 'changes')} (\n"
            "    seq BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,\n"
            f"    id {id_type} NOT NULL\n"
            ") ENGINE = InnoDB"
        )

    def drop_log(self, table: UserTable) -> Statement:
        return Statement(f"DROP TABLE IF EXISTS {_side(table, 'changes')}")

    def logged(self, table: Table, limit: int) -> Statement:
        """Select (seq, id) of the oldest rows of the log."""
        return Statement(f"SELECT seq, id FROM {table.log} ORDER BY seq LIMIT {limit:d}")

    def logged_ids(self, table: Table) -> Statement:
        return Statement(f"SELECT DISTINCT id FROM {table.log}")

    def count_logged(self, table: Table) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {table.log}")

    def count_above_tail(self, table: Table) -> Statement:
        """Select the number of rows above the tail that the log does not tell of."""
        unlogged = f" AND {table.id} NOT IN (SELECT id FROM {table.log})" if table.log else ""
        return Statement(
            f"SELECT COUNT(*) FROM {table.sql} WHERE {table.id} > (SELECT indexed_through "
            f"FROM lookalike_index_tails WHERE collection = %s){unlogged}",
            (table.name,),
        )

    def forget_logged(self, table: Table, sequence: Sequence[int]) -> Statement:
        """Delete exactly these rows of the log: others may yet be committed below them."""
        return Statement(
            f"DELETE FROM {table.log} WHERE seq IN ({places(len(sequence))})", tuple(sequence)
        )

    def create_trigger(self, table: UserTable, event: str, database: str) -> Statement:
        """Create the trigger of an event, one of `EVENTS`; database: lookalike's own.

        Whatever fails in it, a log that is gone too, never fails the user's own statement.
        """
        key, vector = identifier(table.id_column), identifier(table.vector)
        log, keys = (_side(table, kind, database) for kind in ("changes", "keys"))
        logs = {row: f"INSERT INTO {log} (id) VALUES ({row}.{key});" for row in ("OLD", "NEW")}
        if table.is_mapped:
            of = f"INSERT INTO {log} (id) SELECT id FROM {keys} WHERE key_value ="
            logs = {row: f"{of} {row}.{key};" for row in ("OLD", "NEW")}
            numbers = f"INSERT IGNORE INTO {keys} (key_value) VALUES (NEW.{key});"
            logs["NEW"] = f"{numbers}\n{logs['NEW']}"
        is_other = f"NOT OLD.{key} <=> NEW.{key}"
        body = {
            "insert": logs["NEW"],
            "delete": logs["OLD"],
            "update": f"IF NOT OLD.{vector} <=> NEW.{vector} OR {is_other} THEN\n{logs['OLD']}\n"
            f"IF {is_other} THEN\n{logs['NEW']}\nEND IF;\nEND IF;",
        }[event]
        return Statement(
            f"CREATE TRIGGER {self.trigger(table, event, database)} AFTER {event.upper()} "
            f"ON {table.original.sql} FOR EACH ROW\nBEGIN\n"
            f"DECLARE CONTINUE HANDLER FOR SQLEXCEPTION BEGIN END;\n{body}\nEND"
        )

    def drop_trigger(self, table: UserTable, event: str, database: str) -> Statement:
        return Statement(f"DROP TRIGGER IF EXISTS {self.trigger(table, event, database)}")

    def trigger(self, table: UserTable, event: str, database: str) -> str:
        """Return the quoted name of a trigger."""
        name = identifier(trigger_name(table, event, database))
        return name if table.schema is None else f"{identifier(table.schema)}.{name}"

    def triggers_of(self, table: UserTable, database: str) -> Statement:
        """Select (trigger, table that it is attached to) of the triggers that exist."""
        names = [trigger_name(table, event, database) for event in EVENTS]
        return Statement(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers "
            f"WHERE trigger_schema = {'DATABASE()' if table.schema is None else '%s'} "
            f"AND trigger_name IN ({places(len(names))})",
            (*([] if table.schema is None else [table.schema]), *names),
        )

    # Numbers of keys that are no integers.

    def create_keys(self, table: UserTable, key: Column) -> Statement:
        text = ""
        if key.charset is not None:
            text = f" CHARACTER SET {key.charset} COLLATE {key.collation}"
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {_side(table, 'keys')} (\n"
            "    id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,\n"
            f"    key_value {key.type}{text} NOT NULL UNIQUE\n"
            ") ENGINE = InnoDB"
        )

    def create_rows(self, table: UserTable, columns: Sequence[str]) -> Statement:
        """Create the view of the user's table with the number of each key."""
        of_row = ", ".join(f"t.{identifier(column)}" for column in columns)
        return Statement(
            f"CREATE OR REPLACE ALGORITHM = MERGE {self.view_security} VIEW "
            f"{_side(table, 'rows')} AS SELECT k.id AS {MAPPED_ID}, {of_row} "
            f"FROM {_side(table, 'keys')} AS k JOIN {table.original.sql} AS t "
            f"ON t.{identifier(table.id_column)} = k.key_value"
        )

    def number_keys(self, table: UserTable) -> Statement:
        """Number the keys that have no number yet, in order."""
        keys, key = _side(table, "keys"), identifier(table.id_column)
        return Statement(
            f"INSERT IGNORE INTO {keys} (key_value) SELECT t.{key} "
            f"FROM {table.original.sql} AS t LEFT JOIN {keys} AS k ON k.key_value = t.{key} "
            f"WHERE k.id IS NULL ORDER BY t.{key}"
        )

    def key_values(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, key) of numbered keys."""
        return Statement(
            f"SELECT id, key_value FROM {table.keys} WHERE id IN ({places(len(ids))})", tuple(ids)
        )

    def ids_of_key(self, table: Table, key: Any) -> Statement:
        """Select the number of a key."""
        return Statement(f"SELECT id FROM {table.keys} WHERE key_value = %s", (key,))

    # The event that refreshes an index inside the server.

    def has_scheduler(self) -> Statement:
        """Whether the server runs events."""
        return Statement("SELECT @@GLOBAL.event_scheduler = 'ON'")

    def refresh_inside(self, table: UserTable) -> Statement:
        """Encode new rows by the stored procedure."""
        return Statement("CALL lookalike_refresh(%s)", (table.name,))

    def create_event(self, table: UserTable, seconds: int, database: str) -> Statement:
        """Create the event; while it runs, it is not begun again. database: lookalike's own."""
        name = f"CONVERT(X'{table.name.encode().hex()}' USING utf8mb4)"
        lock = f"lookalike_refresh_{table.number}_{crc32(database.encode()):08x}"
        return Statement(
            f"CREATE EVENT {_side(table, 'refresh')} ON SCHEDULE EVERY {seconds:d} SECOND "
            "COMMENT 'lookalike: encodes new rows' DO BEGIN\n"
            f"IF GET_LOCK('{lock}', 0) THEN CALL lookalike_refresh({name}); END IF;\nEND"
        )

    def drop_event(self, table: UserTable) -> Statement:
        return Statement(f"DROP EVENT IF EXISTS {_side(table, 'refresh')}")

    def event_of(self, table: UserTable) -> Statement:
        """Select how often the event runs, as (number, unit), and whether it is enabled.

        An account without the EVENT privilege sees none.
        """
        return Statement(
            "SELECT interval_value, interval_field, status = 'ENABLED' "
            "FROM information_schema.events "
            "WHERE event_schema = DATABASE() AND event_name = %s",
            (f"{table.side_name}_refresh",),
        )

    def drop_sides(self, table: UserTable) -> list[Statement]:
        """Drop what a table has beside the index tables."""
        names = ", ".join(_side(table, kind) for kind in ("changes", "keys"))
        return [
            Statement(f"DROP VIEW IF EXISTS {_side(table, 'rows')}"),
            Statement(f"DROP TABLE IF EXISTS {names}"),
        ]


def trigger_name(table: UserTable, event: str, database: str) -> str:
    """Return the name of a trigger; in another database it tells lookalike's database too."""
    name = f"{table.side_name}_{event}"
    return name if table.schema is None else f"{name}_{crc32(database.encode()):08x}"


def _side(table: UserTable, kind: str, database: str = "") -> str:
    """Return the quoted name of a side table; database: lookalike's, to name it from another."""
    name = identifier(f"{table.side_name}_{kind}")
    return f"{identifier(database)}.{name}" if database and table.schema is not None else name
