"""SQL of the index: create and update its tables.

Generation 3 of the index of a collection `photos` has two tables,

    photos_cells_3      cell, centroid, spread ...      the inverted file's centroids, bfloat16
    photos_codes_3      cell, id, code, scale ...       one row per embedding, clustered by cell

A row of `lookalike_indexes` names the current generation. A row of `lookalike_index_tails` has the
last processed id: rows above it, which other programs may have inserted, are searched exactly.
While the next generation is built, `lookalike_index_changes` collects ids whose embeddings are
changed or deleted. A comment marks a generation's tables as lookalike's own; no others are ever
dropped.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from lookalike.dialects.literals import literal
from lookalike.dialects.primitives import Lock, Primitives
from lookalike.dialects.statement import Statement, generation_comment, places, values
from lookalike.dialects.table import Table

CELL_COLUMNS = (
    "code VARBINARY(2048) NOT NULL DEFAULT ''",
    "scale FLOAT NOT NULL DEFAULT 0",
    "planes BLOB",
    "step FLOAT NOT NULL DEFAULT 0",
    "level_sum INT UNSIGNED NOT NULL DEFAULT 0",
    "half_square FLOAT NOT NULL DEFAULT 0",
)
SHIFT_COLUMN = "shift FLOAT NOT NULL DEFAULT 0"

_COLLECTION = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"


class CodeRow(NamedTuple):
    """A row of the codes' table."""

    cell: int
    id: int
    code: bytes
    scale: float
    bias: float
    shift: float


class CellRow(NamedTuple):
    """A row of the cells' table; the columns after `spread` are for searches in SQL alone.

    code, scale, planes, step, level_sum: see `codes.CentroidPlanes`. half_square: half the squared
    length of the centroid.
    """

    cell: int
    centroid: bytes
    spread: float
    code: bytes
    scale: float
    planes: bytes
    step: float
    level_sum: int
    half_square: float


class IndexState(NamedTuple):
    """A row of `lookalike_indexes`: the current generation and its training results."""

    generation: int
    building: int | None
    seed: int
    unit: float
    n_probes: int
    probe_gap: float
    rescored: int
    recall: float | None
    target_recall: float
    trained_rows: int
    fingerprint: bytes
    rotation: Literal["dense", "factored"]


class IndexSQL(Primitives):
    """Statements about the index of a collection's table."""

    # Tables.

    def create_indexes(self) -> list[Statement]:
        return [
            Statement(
                "CREATE TABLE IF NOT EXISTS lookalike_indexes (\n"
                f"    collection {_COLLECTION} PRIMARY KEY,\n"
                "    generation INT UNSIGNED NOT NULL,\n"
                "    building INT UNSIGNED,\n"
                "    seed INT UNSIGNED NOT NULL,\n"
                "    n_probes INT UNSIGNED NOT NULL,\n"
                "    probe_gap DOUBLE NOT NULL,\n"
                "    trained_rows BIGINT UNSIGNED NOT NULL,\n"
                "    fingerprint BINARY(32) NOT NULL,\n"
                "    rescored INT UNSIGNED NOT NULL DEFAULT 0,\n"
                "    recall DOUBLE,\n"
                "    target_recall DOUBLE NOT NULL DEFAULT 0.99,\n"
                "    unit DOUBLE NOT NULL DEFAULT 1,\n"
                f"    rotation VARCHAR(16) {self.ascii} NOT NULL DEFAULT 'dense'\n"
                ") ENGINE = InnoDB"
            ),
            Statement(
                "CREATE TABLE IF NOT EXISTS lookalike_index_tails (\n"
                f"    collection {_COLLECTION} PRIMARY KEY,\n"
                "    indexed_through BIGINT NOT NULL,\n"
                "    strays BIGINT UNSIGNED NOT NULL DEFAULT 0\n"
                ") ENGINE = InnoDB"
            ),
            Statement(
                "CREATE TABLE IF NOT EXISTS lookalike_index_changes (\n"
                f"    collection {_COLLECTION},\n"
                "    id BIGINT NOT NULL,\n"
                "    PRIMARY KEY (collection, id)\n"
                ") ENGINE = InnoDB"
            ),
        ]

    def create_generation(
        self, table: Table, generation: int, bits: int, id_type: str
    ) -> list[Statement]:
        """Create a generation's tables; fails if a name is taken (error 1050).

        id_type: type of the collection's ids.
        """
        # BINARY is limited to 255 bytes; VARBINARY takes one or two bytes more.
        code = f"{'BINARY' if bits <= 8 * 255 else 'VARBINARY'}({bits // 8:d})"
        added = ",\n    ".join(CELL_COLUMNS)
        mark = f"ENGINE = InnoDB COMMENT = {literal(generation_comment(table.name, generation))}"
        return [
            Statement(
                f"CREATE TABLE {_cells(table, generation)} (\n"
                "    cell SMALLINT UNSIGNED PRIMARY KEY,\n"
                f"    centroid VARBINARY({2 * bits:d}) NOT NULL,\n"
                "    spread FLOAT NOT NULL DEFAULT 0,\n"
                f"    {added}\n"
                f") {mark}"
            ),
            Statement(
                f"CREATE TABLE {codes_table(table, generation)} (\n"
                "    cell SMALLINT UNSIGNED NOT NULL,\n"
                f"    id {id_type} NOT NULL,\n"
                f"    code {code} NOT NULL,\n"
                "    scale FLOAT NOT NULL,\n"
                "    bias FLOAT NOT NULL,\n"
                f"    {SHIFT_COLUMN},\n"
                "    PRIMARY KEY (cell, id)\n"
                f") {mark}"
            ),
        ]

    def drop_generation(
        self, table: Table, generation: int, kinds: Sequence[str] = ("cells", "codes")
    ) -> Statement:
        names = ", ".join(table.side(f"_{kind}_{generation:d}") for kind in kinds)
        return Statement(f"DROP TABLE IF EXISTS {names}")

    def generation_tables(self, table: Table) -> Statement:
        """Select names and comments of all tables named like index tables of this collection.

        Only those with the comment `generation_comment` are lookalike's own.
        """
        name = table.name
        return Statement(
            "SELECT table_name, table_comment FROM information_schema.tables "
            "WHERE table_schema = DATABASE() "
            "AND (LEFT(table_name, %s) = %s OR LEFT(table_name, %s) = %s)",
            (len(name) + 7, f"{name}_cells_", len(name) + 7, f"{name}_codes_"),
        )

    # The current generation.

    def index_state(self, table: Table, *, lock: Lock = "") -> Statement:
        """Select the state; lock: "share" keeps the generation until the transaction ends."""
        return Statement(
            f"SELECT {', '.join(IndexState._fields)} "
            f"FROM lookalike_indexes WHERE collection = %s {self.locks[lock]}",
            (table.name,),
        )

    def start_building(self, table: Table, generation: int) -> Statement:
        return Statement(
            "INSERT INTO lookalike_indexes (collection, generation, building, seed, n_probes, "
            "probe_gap, trained_rows, fingerprint) VALUES (%s, 0, %s, 0, 0, 0, 0, '') "
            "ON DUPLICATE KEY UPDATE building = VALUES(building)",
            (table.name, generation),
        )

    def choose_ours(self, table: Table) -> Statement:
        """Record that lookalike's own index is wanted; an index that there is stays."""
        return Statement(
            "INSERT IGNORE INTO lookalike_indexes (collection, generation, seed, n_probes, "
            "probe_gap, trained_rows, fingerprint) VALUES (%s, 0, 0, 0, 0, 0, '')",
            (table.name,),
        )

    def forget_index(self, table: Table) -> Statement:
        return Statement("DELETE FROM lookalike_indexes WHERE collection = %s", (table.name,))

    def switch_generation(self, table: Table, state: IndexState) -> Statement:
        changed = ", ".join(f"{name} = %s" for name in IndexState._fields)
        return Statement(
            f"UPDATE lookalike_indexes SET {changed} WHERE collection = %s", (*state, table.name)
        )

    def trainer_lock(self, table: Table, seconds: int = 0) -> Statement:
        """Select 1 if this connection may train, until it is closed; 0 if another one trains."""
        return Statement(
            "SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s), 256), 64), %s)",
            (table.name, seconds),
        )

    def trainer_unlock(self, table: Table) -> Statement:
        return Statement(
            "SELECT RELEASE_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s), 256), 64))", (table.name,)
        )

    # The tail: rows above the last processed id.

    def tail(self, table: Table, *, lock: Lock = "") -> Statement:
        return Statement(
            "SELECT indexed_through FROM lookalike_index_tails WHERE collection = %s "
            f"{self.locks[lock]}",
            (table.name,),
        )

    def set_tail(self, table: Table, indexed_through: int) -> Statement:
        return Statement(
            "INSERT INTO lookalike_index_tails (collection, indexed_through) VALUES (%s, %s) "
            "ON DUPLICATE KEY UPDATE indexed_through = VALUES(indexed_through)",
            (table.name, indexed_through),
        )

    def strays(self, table: Table) -> Statement:
        """Select the sum of CRC32 of ids up to the tail that are known to need no code."""
        return Statement(
            "SELECT strays FROM lookalike_index_tails WHERE collection = %s", (table.name,)
        )

    def set_strays(self, table: Table, strays: int) -> Statement:
        return Statement(
            "UPDATE lookalike_index_tails SET strays = %s WHERE collection = %s",
            (strays, table.name),
        )

    def id_sums(self, table: Table, generation: int, through: int) -> Statement:
        """Select the sums of CRC32 of the ids up to `through`: of the rows, and of the codes.

        Equal sets have equal sums. Without WHERE, the server reads the table's shortest index.
        """
        codes = codes_table(table, generation)
        totals = (
            f"(SELECT COALESCE(SUM(IF({key} <= %s, CRC32({key}), 0)), 0) FROM {name})"
            for key, name in ((table.id, table.sql), ("id", codes))
        )
        return Statement(f"SELECT {', '.join(totals)}", (through, through))

    def code_keys(self, table: Table, generation: int) -> Statement:
        return Statement(f"SELECT cell, id FROM {codes_table(table, generation)}")

    def ids_among(self, table: Table, ids: Sequence[int], *, lock: Lock = "") -> Statement:
        """Select the ids that have a row."""
        return Statement(
            f"SELECT {table.id} FROM {table.sql} "
            f"WHERE {table.id} IN ({places(len(ids))}) {self.locks[lock]}",
            tuple(ids),
        )

    def ids_above(self, table: Table, row_id: int, *, lock: Lock = "") -> Statement:
        return Statement(
            f"SELECT {table.id} FROM {table.sql} {table.by_key} "
            f"WHERE {table.id} > %s ORDER BY {table.id} {self.locks[lock]}",
            (row_id,),
        )

    def first_ids_above(self, table: Table, row_id: int, limit: int) -> Statement:
        """Select the lowest ids above an id."""
        return Statement(
            f"SELECT {table.id} FROM {table.sql} {table.by_key} "
            f"WHERE {table.id} > %s ORDER BY {table.id} LIMIT %s",
            (row_id, limit),
        )

    def id_range(self, table: Table) -> Statement:
        return Statement(f"SELECT MIN({table.id}), MAX({table.id}) FROM {table.sql}")

    def indexable_ids(self, table: Table) -> Statement:
        return Statement(f"SELECT {table.id} FROM {table.sql}")

    def lists_of_ids(self, table: Table) -> Statement:
        """Select all ids in JSON arrays: the driver takes five times as long for a row each."""
        return Statement(
            f"SELECT JSON_ARRAYAGG({table.id}) FROM {table.sql} GROUP BY {table.id} DIV 256"
        )

    # Cells and codes.

    def centroids(self, table: Table, generation: int) -> Statement:
        return Statement(f"SELECT centroid, spread FROM {_cells(table, generation)} ORDER BY cell")

    def insert_centroids(self, table: Table, generation: int, rows: Sequence[CellRow]) -> Statement:
        return Statement(
            f"INSERT INTO {_cells(table, generation)} ({', '.join(CellRow._fields)}) "
            f"VALUES {values(len(CellRow._fields), len(rows))}",
            tuple(value for row in rows for value in row),
        )

    def insert_codes(self, table: Table, generation: int, rows: Sequence[CodeRow]) -> Statement:
        """Insert codes; existing ones stay.

        The values are literals (only numbers and hex digits), because binding a million rows would
        be slow.
        """
        text = ",".join(
            f"({cell:d},{id_:d},x'{code.hex()}',{scale:.9g},{bias:.9g},{shift:.9g})"
            for cell, id_, code, scale, bias, shift in rows
        )
        return Statement(
            f"INSERT IGNORE INTO {codes_table(table, generation)} "
            f"({', '.join(CodeRow._fields)}) VALUES {text}"
        )

    def delete_codes(
        self, table: Table, generation: int, cells: Sequence[tuple[int, int]]
    ) -> Statement:
        """Delete codes by (cell, id)."""
        return Statement(
            f"DELETE FROM {codes_table(table, generation)} "
            f"WHERE (cell, id) IN ({values(2, len(cells))})",
            tuple(value for row in cells for value in row),
        )

    def delete_codes_by_id(self, table: Table, generation: int, ids: Sequence[int]) -> Statement:
        """Delete codes by id."""
        return Statement(
            f"DELETE FROM {codes_table(table, generation)} WHERE id IN ({places(len(ids))})",
            tuple(ids),
        )

    def has_codes(self, table: Table, generation: int) -> Statement:
        return Statement(f"SELECT EXISTS (SELECT 1 FROM {codes_table(table, generation)})")

    def count_codes(self, table: Table, generation: int) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {codes_table(table, generation)}")

    def add_code_key(self, table: Table, generation: int) -> Statement:
        """Make codes findable by id; after the codes, which would be slow to add to the key."""
        return Statement(f"ALTER TABLE {codes_table(table, generation)} ADD UNIQUE KEY id (id)")

    def all_codes(self, table: Table, generation: int) -> Statement:
        """Select every code without its shift, in key order, which is that of the table."""
        return Statement(
            f"SELECT cell, id, code, scale, bias FROM {codes_table(table, generation)} "
            "ORDER BY cell, id"
        )

    def codes_with_embeddings(
        self, table: Table, generation: int, keys: Sequence[tuple[int, int]] = ()
    ) -> Statement:
        """Select every code, or those of (cell, id), with the embedding of its row if it exists."""
        chosen = f" WHERE (c.cell, c.id) IN ({values(2, len(keys))})" if keys else ""
        return Statement(
            "SELECT c.cell, c.id, c.code, c.scale, c.bias, "
            f"{self.embedding_bytes(table, 'v.')}, c.shift "
            f"FROM {codes_table(table, generation)} AS c "
            f"LEFT JOIN {table.sql} AS v ON v.{table.id} = c.id{chosen}",
            tuple(value for key in keys for value in key),
        )

    # Changes while the next generation is built.

    def note_changes(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            "INSERT IGNORE INTO lookalike_index_changes (collection, id) "
            f"VALUES {values(2, len(ids))}",
            tuple(value for row_id in ids for value in (table.name, row_id)),
        )

    def changes(self, table: Table) -> Statement:
        return Statement(
            "SELECT id FROM lookalike_index_changes WHERE collection = %s", (table.name,)
        )

    def forget_changes(self, table: Table) -> Statement:
        return Statement("DELETE FROM lookalike_index_changes WHERE collection = %s", (table.name,))


def _cells(table: Table, generation: int) -> str:
    return table.side(f"_cells_{generation:d}")


def codes_table(table: Table, generation: int) -> str:
    """Return the quoted name of a generation's codes."""
    return table.side(f"_codes_{generation:d}")
