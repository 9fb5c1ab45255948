"""SQL of layouts: the version of lookalike's tables, and upgrades.

`lookalike_schema` has one row with the version. Tables without it have version 1.
"""

from collections.abc import Sequence

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, generation_comment, places, quote_name
from lookalike.dialects.tables.index import CELL_COLUMNS, SHIFT_COLUMN
from lookalike.dialects.tables.versions import LOG, VERSIONS

LAYOUT = 4
"""Version of the tables that this package creates and uses."""

SCHEMA_TABLE = "lookalike_schema"
REGISTRY = "lookalike_collections"
INDEXES = "lookalike_indexes"
SHARED_TABLES = (
    SCHEMA_TABLE,
    REGISTRY,
    INDEXES,
    "lookalike_index_tails",
    "lookalike_index_changes",
    VERSIONS,
    LOG,
    "lookalike_attributes",
    "lookalike_levels",
    "lookalike_runs",
    "lookalike_thresholds",
)

KEYS = (
    (REGISTRY, "name"),
    (INDEXES, "collection"),
    ("lookalike_index_tails", "collection"),
    ("lookalike_index_changes", "collection"),
    ("lookalike_runs", "collection"),
    ("lookalike_attributes", "collection"),
    ("lookalike_levels", "collection"),
    ("lookalike_thresholds", "collection"),
    (VERSIONS, "collection"),
    (LOG, "collection"),
)
"""Shared tables with records of collections, each with its column of collection names."""

OF_ONE_NAME = (VERSIONS, LOG)
"""Those whose records mean nothing for the same collection under another name."""

COPIED_NOTES = (REGISTRY, "lookalike_attributes", "lookalike_thresholds")
"""Those whose records a copy of a collection needs."""

MEASURED_NOTES = ("lookalike_levels", "lookalike_runs")
"""Those whose records it has too, but may lose or change without harm."""

_CELLS = {"cell", "centroid"}
_CODES = {"cell", "id", "code", "scale", "bias"}


class LayoutsSQL(Primitives):
    """Statements on `lookalike_schema`, and upgrades of tables to the newest version."""

    def create_schema(self) -> list[Statement]:
        """Create the version table before the first shared table; a recorded version stays."""
        return [
            self.create_schema_table(),
            Statement("INSERT IGNORE INTO lookalike_schema (version) VALUES (%s)", (LAYOUT,)),
        ]

    def create_schema_table(self) -> Statement:
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_schema (\n"
            "    only_row TINYINT UNSIGNED PRIMARY KEY DEFAULT 1,\n"
            "    version INT UNSIGNED NOT NULL\n"
            ") ENGINE = InnoDB"
        )

    def layout_version(self) -> Statement:
        return Statement("SELECT version FROM lookalike_schema")

    def note_layout(self, version: int) -> Statement:
        return Statement(
            "INSERT INTO lookalike_schema (version) VALUES (%s) "
            "ON DUPLICATE KEY UPDATE version = VALUES(version)",
            (version,),
        )

    def existing_tables(self, names: Sequence[str]) -> Statement:
        """Select (name, comment) of those tables that exist."""
        return Statement(
            "SELECT table_name, table_comment FROM information_schema.tables "
            f"WHERE table_schema = DATABASE() AND table_name IN ({places(len(names))})",
            tuple(names),
        )

    def lower_case_names(self) -> Statement:
        """Select 1 if the server stores table names in lower case."""
        return Statement("SELECT @@lower_case_table_names")

    # Upgrades. MySQL commits before and after each ALTER TABLE.

    def layout_lock(self, seconds: int) -> Statement:
        """Select 1 if this connection may upgrade, until it is closed; 0 if another one does."""
        return Statement(
            "SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), ' layout'), 256), 64), %s)", (seconds,)
        )

    def wait_for_locks(self, seconds: int) -> list[Statement]:
        """Set how long this connection waits for locks on tables and rows."""
        return [
            Statement("SET SESSION lock_wait_timeout = %s", (seconds,)),
            Statement("SET SESSION innodb_lock_wait_timeout = %s", (seconds,)),
        ]

    def columns_since_1(self) -> list[tuple[str, str, Statement]]:
        """Return each (table, column) that version 2 added, with its ALTER TABLE."""
        columns = (
            (INDEXES, "rescored", "INT UNSIGNED NOT NULL DEFAULT 0"),
            (INDEXES, "recall", "DOUBLE NULL"),
            (INDEXES, "target_recall", "DOUBLE NOT NULL DEFAULT 0.99"),
            (INDEXES, "unit", "DOUBLE NOT NULL DEFAULT 1"),
            ("lookalike_index_tails", "strays", "BIGINT UNSIGNED NOT NULL DEFAULT 0"),
        )
        return [
            (table, column, Statement(f"ALTER TABLE {table} ADD COLUMN {column} {definition}"))
            for table, column, definition in columns
        ]

    def add_rotation(self) -> Statement:
        return Statement(
            "ALTER TABLE lookalike_indexes ADD COLUMN "
            f"rotation VARCHAR(16) {self.ascii} NOT NULL DEFAULT 'dense'"
        )

    def columns_since_3(self, table: str, generation: int) -> list[tuple[str, str, Statement]]:
        """Return what version 4 added to a generation: (table, a new column, its ALTER TABLE)."""
        cells, codes = (quote_name(table, f"_{kind}_{generation:d}") for kind in ("cells", "codes"))
        added = ", ".join(f"ADD COLUMN {column}" for column in CELL_COLUMNS)
        return [
            (f"{table}_cells_{generation:d}", "code", Statement(f"ALTER TABLE {cells} {added}")),
            (
                f"{table}_codes_{generation:d}",
                "shift",
                Statement(f"ALTER TABLE {codes} ADD COLUMN {SHIFT_COLUMN}, ADD UNIQUE KEY id (id)"),
            ),
        ]

    def lower_names(self) -> list[tuple[str, Statement]]:
        """Return (table, statement) pairs that lower-case names, on servers that do so."""
        return [
            (
                table,
                Statement(
                    f"UPDATE IGNORE {table} SET {key} = LOWER({key}) "
                    f"WHERE @@lower_case_table_names = 1 AND {key} <> LOWER({key})"
                ),
            )
            for table, key in KEYS
        ]

    def metrics(self) -> Statement:
        return Statement("SELECT name, metric FROM lookalike_collections")

    def recorded_generations(self) -> Statement:
        """Select (collection, generation, building, rescored) of every index."""
        return Statement(
            "SELECT collection, generation, building, rescored FROM lookalike_indexes "
            "ORDER BY collection"
        )

    def generation_of_1(self, table: str, generation: int) -> list[tuple[str, set[str]]]:
        """Return the names of a generation's two tables, each with its columns in version 1."""
        return [
            (f"{table}_cells_{generation:d}", _CELLS),
            (f"{table}_codes_{generation:d}", _CODES),
        ]

    def add_spread(self, table: str, generation: int) -> Statement:
        name = quote_name(table, f"_cells_{generation:d}")
        return Statement(f"ALTER TABLE {name} ADD COLUMN spread FLOAT NOT NULL DEFAULT 0")

    def mark_generation(self, table: str, generation: int, name: str) -> Statement:
        """Mark a generation's table by its comment."""
        quoted = quote_name(table, name.removeprefix(table))
        comment = generation_comment(table, generation)
        return Statement(f"ALTER TABLE {quoted} COMMENT = %s", (comment,))

    def drop_of_generation(self, table: str, name: str) -> Statement:
        return Statement(f"DROP TABLE IF EXISTS {quote_name(table, name.removeprefix(table))}")

    def set_rescored(self, table: str, rescored: int) -> Statement:
        return Statement(
            "UPDATE lookalike_indexes SET rescored = %s WHERE collection = %s AND rescored = 0",
            (rescored, table),
        )

    def forget_generation(self, table: str) -> Statement:
        """Disable the index, so that the next training builds one."""
        return Statement(
            "UPDATE lookalike_indexes SET generation = 0, building = NULL WHERE collection = %s",
            (table,),
        )
