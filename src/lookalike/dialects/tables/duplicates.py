"""SQL of duplicates: thumbnails and hashes, and pairs marked as distinct."""

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table
from lookalike.dialects.tables.shards import ShardsSQL


class StoredThumbnail(NamedTuple):
    """A row of `<collection>_phashes`, for the image in a file with this content.

    width, height: in pixels. phashes: eight perceptual hashes of 8 bytes, one for each rotation and
    reflection, the first for the image as is. thumbnail: JPEG.
    """

    content_hash: bytes
    width: int
    height: int
    phashes: bytes
    thumbnail: bytes


class DuplicatesSQL(ShardsSQL):
    """Statements on `<collection>_phashes` and `<collection>_distinct`."""

    # Thumbnails belong to contents, not rows: a changed file has another one.

    def create_phashes(self, table: Table) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side('_phashes')} (\n"
            "    content_hash BINARY(32) PRIMARY KEY,\n"
            "    width INT UNSIGNED NOT NULL,\n"
            "    height INT UNSIGNED NOT NULL,\n"
            "    phashes BINARY(64) NOT NULL,\n"
            "    thumbnail BLOB NOT NULL\n"
            ") ENGINE = InnoDB"
        )

    def files_without_thumbnail(self, table: Table, after: int, limit: int) -> Statement:
        """Select (id, path, content_hash, size, mtime_ns) by id, starting after `after`."""
        return Statement(
            "SELECT id, path, content_hash, size, mtime_ns "
            f"FROM {table.side('_files')} AS f WHERE id > %s AND NOT EXISTS ("
            f"SELECT 1 FROM {table.side('_phashes')} AS p "
            "WHERE p.content_hash = f.content_hash) ORDER BY id LIMIT %s",
            (after, limit),
        )

    def files_of(self, table: Table, content_hashes: Sequence[bytes]) -> Statement:
        """Select (id, path, content_hash, size, mtime_ns) of files with these contents."""
        return Statement(
            "SELECT id, path, content_hash, size, mtime_ns "
            f"FROM {table.side('_files')} "
            f"WHERE content_hash IN ({places(len(content_hashes))}) ORDER BY id",
            tuple(content_hashes),
        )

    def insert_thumbnails(self, table: Table, thumbnails: Sequence[StoredThumbnail]) -> Statement:
        return Statement(
            f"REPLACE INTO {table.side('_phashes')} "
            "(content_hash, width, height, phashes, thumbnail) "
            f"VALUES {values(5, len(thumbnails))}",
            tuple(value for each in thumbnails for value in each),
        )

    def delete_stray_thumbnails(self, table: Table) -> Statement:
        """Delete thumbnails of contents that no stored file has."""
        return Statement(
            f"DELETE p FROM {table.side('_phashes')} AS p "
            f"LEFT JOIN {table.side('_files')} AS f USING (content_hash) "
            "WHERE f.id IS NULL"
        )

    def phashes(self, table: Table) -> Statement:
        """Select (content_hash, phashes) of all files."""
        return Statement(f"SELECT content_hash, phashes FROM {table.side('_phashes')}")

    def thumbnails(self, table: Table, content_hashes: Sequence[bytes]) -> Statement:
        return Statement(
            f"SELECT content_hash, thumbnail FROM {table.side('_phashes')} "
            f"WHERE content_hash IN ({places(len(content_hashes))})",
            tuple(content_hashes),
        )

    # Images.

    def embedded_images(self, table: Table) -> Statement:
        """Select (id, content, size, mtime_ns, width, height) of every image by id.

        content: the SHA-256 of the file's bytes, or of the embedding if there is no file; then the
        others are NULL. width and height are also NULL for a file without a thumbnail.
        """
        return Statement(
            f"SELECT v.{table.id}, "
            f"COALESCE(f.content_hash, UNHEX(SHA2({self.embedding_bytes(table, 'v.')}, 256))), "
            f"f.size, f.mtime_ns, p.width, p.height FROM {table.sql} AS v "
            f"LEFT JOIN {table.side('_files')} AS f ON f.id = v.{table.id} "
            f"LEFT JOIN {table.side('_phashes')} AS p ON p.content_hash = f.content_hash "
            f"WHERE v.{table.embedding} IS NOT NULL ORDER BY v.{table.id}"
        )

    def bare_embeddings(self, table: Table) -> Statement:
        """Select the same for a collection without a side table of files."""
        return Statement(
            f"SELECT {table.id}, UNHEX(SHA2({self.embedding_bytes(table)}, 256)), "
            "NULL, NULL, NULL, NULL "
            f"FROM {table.sql} WHERE {table.embedding} IS NOT NULL ORDER BY {table.id}"
        )

    # Decisions.

    def create_distinct(self, table: Table, id_type: str) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side('_distinct')} (\n"
            f"    id {id_type} NOT NULL,\n"
            f"    other_id {id_type} NOT NULL,\n"
            "    PRIMARY KEY (id, other_id),\n"
            f"    KEY other_id (other_id){self.reference(table)}"
            f"{self.reference(table, 'other_id')}\n"
            ") ENGINE = InnoDB"
        )

    def insert_distinct(self, table: Table, pairs: Sequence[tuple[int, int]]) -> Statement:
        return Statement(
            f"INSERT IGNORE INTO {table.side('_distinct')} (id, other_id) "
            f"VALUES {values(2, len(pairs))}",
            tuple(row_id for pair in pairs for row_id in pair),
        )

    def delete_distinct(self, table: Table, pairs: Sequence[tuple[int, int]]) -> Statement:
        return Statement(
            f"DELETE FROM {table.side('_distinct')} "
            f"WHERE (id, other_id) IN ({values(2, len(pairs))})",
            tuple(row_id for pair in pairs for row_id in pair),
        )

    def distinct(self, table: Table) -> Statement:
        """Select every (id, other_id), the smaller first."""
        return Statement(f"SELECT id, other_id FROM {table.side('_distinct')}")
