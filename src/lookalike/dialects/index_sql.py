"""The SQL of the index: its tables, its upkeep and the search through it.

Generation 3 of the index of a collection `photos` is two tables,

    photos_cells_3      cell, centroid                  the inverted file's centroids, bfloat16
    photos_codes_3      cell, id, code, scale, bias     a row an embedding, clustered by cell

a row of `lookalike_indexes` that says which generation holds, and one of `lookalike_index_tails`
with the last id that has been looked after: rows above it, which other programs may have inserted,
are searched exactly. While the next generation is being made, `lookalike_index_changes` collects
the ids whose embeddings change or go.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.attributes_sql import Filter, and_
from lookalike.dialects.statements import Statement, places, quote_name, values

_HOLDS = "(SELECT generation FROM lookalike_indexes WHERE collection = %s) = %s"
_COLLECTION = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"


class CodeRow(NamedTuple):
    """A row of the codes' table."""

    cell: int
    id: int
    code: bytes
    scale: float
    bias: float


class Probe(NamedTuple):
    """A cell to search: see `codes` for its base, step and bit planes."""

    cell: int
    base: float
    step: float
    planes: tuple[bytes, bytes, bytes, bytes]


class Shortlist(NamedTuple):
    """What a search asks of the index: the `rows` best estimates in the probed cells."""

    generation: int
    probes: Sequence[Probe]
    centre: float
    rows: int


class IndexSQL:
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
                "    fingerprint BINARY(32) NOT NULL\n"
                ")"
            ),
            Statement(
                "CREATE TABLE IF NOT EXISTS lookalike_index_tails (\n"
                f"    collection {_COLLECTION} PRIMARY KEY,\n"
                "    indexed_through BIGINT NOT NULL\n"
                ")"
            ),
            Statement(
                "CREATE TABLE IF NOT EXISTS lookalike_index_changes (\n"
                f"    collection {_COLLECTION},\n"
                "    id BIGINT NOT NULL,\n"
                "    PRIMARY KEY (collection, id)\n"
                ")"
            ),
        ]

    def create_generation(
        self, table: str, generation: int, bits: int, id_type: str
    ) -> list[Statement]:
        """id_type: of the collection's ids."""
        # A BINARY is 255 bytes long at the most, and a VARBINARY takes a byte or two more.
        code = f"{'BINARY' if bits <= 8 * 255 else 'VARBINARY'}({bits // 8:d})"
        return [
            Statement(
                f"CREATE TABLE {_cells(table, generation)} (\n"
                "    cell SMALLINT UNSIGNED PRIMARY KEY,\n"
                f"    centroid VARBINARY({2 * bits:d}) NOT NULL\n"
                ")"
            ),
            Statement(
                f"CREATE TABLE {_codes(table, generation)} (\n"
                "    cell SMALLINT UNSIGNED NOT NULL,\n"
                f"    id {id_type} NOT NULL,\n"
                f"    code {code} NOT NULL,\n"
                "    scale FLOAT NOT NULL,\n"
                "    bias FLOAT NOT NULL,\n"
                "    PRIMARY KEY (cell, id)\n"
                ")"
            ),
        ]

    def drop_generation(self, table: str, generation: int) -> Statement:
        return Statement(
            f"DROP TABLE IF EXISTS {_cells(table, generation)}, {_codes(table, generation)}"
        )

    def generation_tables(self, table: str) -> Statement:
        """Names of all tables that may be of this collection's index."""
        return Statement(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
            "AND (LEFT(table_name, %s) = %s OR LEFT(table_name, %s) = %s)",
            (len(table) + 7, f"{table}_cells_", len(table) + 7, f"{table}_codes_"),
        )

    # Which generation holds.

    def index_state(self, table: str, *, lock: str = "") -> Statement:
        """lock: FOR SHARE keeps the generation till the transaction ends, FOR UPDATE changes it."""
        return Statement(
            "SELECT generation, building, seed, n_probes, probe_gap, trained_rows, fingerprint "
            f"FROM lookalike_indexes WHERE collection = %s {lock}",
            (table,),
        )

    def start_building(self, table: str, generation: int) -> Statement:
        return Statement(
            "INSERT INTO lookalike_indexes (collection, generation, building, seed, n_probes, "
            "probe_gap, trained_rows, fingerprint) VALUES (%s, 0, %s, 0, 0, 0, 0, '') "
            "ON DUPLICATE KEY UPDATE building = VALUES(building)",
            (table, generation),
        )

    def switch_generation(
        self,
        table: str,
        generation: int,
        seed: int,
        n_probes: int,
        probe_gap: float,
        rows: int,
        fingerprint: bytes,
    ) -> Statement:
        return Statement(
            "UPDATE lookalike_indexes SET generation = %s, building = NULL, seed = %s, "
            "n_probes = %s, probe_gap = %s, trained_rows = %s, fingerprint = %s "
            "WHERE collection = %s",
            (generation, seed, n_probes, probe_gap, rows, fingerprint, table),
        )

    def trainer_lock(self, table: str) -> Statement:
        """1 where this connection may train, until it is closed; 0 while another one does."""
        return Statement(
            "SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s), 256), 64), 0)", (table,)
        )

    def trainer_unlock(self, table: str) -> Statement:
        return Statement(
            "SELECT RELEASE_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s), 256), 64))", (table,)
        )

    # The tail: rows above the last id that has been looked after.

    def tail(self, table: str, *, lock: str = "") -> Statement:
        return Statement(
            f"SELECT indexed_through FROM lookalike_index_tails WHERE collection = %s {lock}",
            (table,),
        )

    def set_tail(self, table: str, indexed_through: int) -> Statement:
        return Statement(
            "INSERT INTO lookalike_index_tails (collection, indexed_through) VALUES (%s, %s) "
            "ON DUPLICATE KEY UPDATE indexed_through = VALUES(indexed_through)",
            (table, indexed_through),
        )

    def ids_above(self, table: str, row_id: int, *, lock: str = "") -> Statement:
        return Statement(
            f"SELECT id FROM {quote_name(table)} FORCE INDEX (PRIMARY) "
            f"WHERE id > %s ORDER BY id {lock}",
            (row_id,),
        )

    def read_uncommitted(self) -> Statement:
        """Have this connection see rows before they are committed."""
        return Statement("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")

    def id_range(self, table: str) -> Statement:
        return Statement(f"SELECT MIN(id), MAX(id) FROM {quote_name(table)}")

    def indexable_ids(self, table: str) -> Statement:
        return Statement(f"SELECT id FROM {quote_name(table)}")

    # Cells and codes.

    def centroids(self, table: str, generation: int) -> Statement:
        return Statement(f"SELECT centroid FROM {_cells(table, generation)} ORDER BY cell")

    def insert_centroids(
        self, table: str, generation: int, rows: Sequence[tuple[int, bytes]]
    ) -> Statement:
        return Statement(
            f"INSERT INTO {_cells(table, generation)} (cell, centroid) "
            f"VALUES {values(2, len(rows))}",
            tuple(value for row in rows for value in row),
        )

    def insert_codes(self, table: str, generation: int, rows: Sequence[CodeRow]) -> Statement:
        """Insert codes; those that are there already stay.

        Written out, since a million rows are many bound values: numbers and hex digits only.
        """
        text = ",".join(
            f"({cell:d},{id_:d},x'{code.hex()}',{scale:.9g},{bias:.9g})"
            for cell, id_, code, scale, bias in rows
        )
        return Statement(
            f"INSERT IGNORE INTO {_codes(table, generation)} (cell, id, code, scale, bias) "
            f"VALUES {text}"
        )

    def delete_codes(
        self, table: str, generation: int, cells: Sequence[tuple[int, int]]
    ) -> Statement:
        """Delete the codes of these (cell, id)."""
        return Statement(
            f"DELETE FROM {_codes(table, generation)} "
            f"WHERE (cell, id) IN ({values(2, len(cells))})",
            tuple(value for row in cells for value in row),
        )

    def delete_codes_by_id(self, table: str, generation: int, ids: Sequence[int]) -> Statement:
        """The same where the cells are not known: it reads the whole table."""
        return Statement(
            f"DELETE FROM {_codes(table, generation)} WHERE id IN ({places(len(ids))})", tuple(ids)
        )

    def has_codes(self, table: str, generation: int) -> Statement:
        return Statement(f"SELECT EXISTS (SELECT 1 FROM {_codes(table, generation)})")

    def count_codes(self, table: str, generation: int) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {_codes(table, generation)}")

    def codes_with_embeddings(self, table: str, generation: int) -> Statement:
        """Every code, with the embedding of its row where that is there."""
        return Statement(
            "SELECT c.cell, c.id, c.code, c.scale, c.bias, CAST(v.embedding AS BINARY) "
            f"FROM {_codes(table, generation)} AS c "
            f"LEFT JOIN {quote_name(table)} AS v ON v.id = c.id"
        )

    # Changes while the next generation is being made.

    def note_changes(self, table: str, ids: Sequence[int]) -> Statement:
        return Statement(
            "INSERT IGNORE INTO lookalike_index_changes (collection, id) "
            f"VALUES {values(2, len(ids))}",
            tuple(value for row_id in ids for value in (table, row_id)),
        )

    def changes(self, table: str) -> Statement:
        return Statement("SELECT id FROM lookalike_index_changes WHERE collection = %s", (table,))

    def forget_changes(self, table: str) -> Statement:
        return Statement("DELETE FROM lookalike_index_changes WHERE collection = %s", (table,))

    # Search.

    def search_codes(
        self, table: str, shortlist: Shortlist, where: Filter | None = None
    ) -> Statement:
        """The embeddings of the shortlist and of the tail, for the client to rank exactly.

        where: take rows that pass alone.

        No row comes back of a generation that does not hold any more.
        """
        probes = ", ".join(["ROW(%s, %s, %s, %s, %s, %s, %s)"] * len(shortlist.probes))
        distance = " + ".join(
            f"{2**j} * BIT_COUNT(c.code ^ probes.p{j})" if j else "BIT_COUNT(c.code ^ probes.p0)"
            for j in range(4)
        )
        passing, joined = and_(where), ""
        if where is not None:
            joined = f"    JOIN {quote_name(table)} AS v ON v.id = c.id\n    WHERE {where.sql}\n"
        sql = (
            "SELECT v.id, v.image_name, CAST(v.embedding AS BINARY) AS embedding FROM (\n"
            "    SELECT STRAIGHT_JOIN c.id\n"
            f"    FROM (VALUES {probes}) AS probes (cell, base, step, p0, p1, p2, p3)\n"
            f"    JOIN {_codes(table, shortlist.generation)} AS c ON c.cell = probes.cell\n"
            f"{joined}"
            "    ORDER BY probes.base + c.bias + probes.step * c.scale * (%s - (\n"
            f"        {distance})) DESC\n"
            "    LIMIT %s\n"
            f") AS shortlist JOIN {quote_name(table)} AS v ON v.id = shortlist.id\n"
            f"WHERE {_HOLDS}\n"
            "UNION ALL\n"
            "SELECT id, image_name, CAST(embedding AS BINARY) AS embedding\n"
            f"FROM {quote_name(table)} AS v\n"
            f"WHERE embedding IS NOT NULL{passing.sql} AND {_HOLDS} AND id >\n"
            "    (SELECT indexed_through FROM lookalike_index_tails WHERE collection = %s)"
        )
        bound = [v for p in shortlist.probes for v in (p.cell, p.base, p.step, *p.planes)]
        holds = (table, shortlist.generation)
        ranked = (*bound, *passing.params, shortlist.centre, shortlist.rows, *holds)
        return Statement(sql, (*ranked, *passing.params, *holds, table))


def _cells(table: str, generation: int) -> str:
    return quote_name(table, f"_cells_{generation:d}")


def _codes(table: str, generation: int) -> str:
    return quote_name(table, f"_codes_{generation:d}")
