"""SQL of images' files: stored files, failures, and the last run."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lookalike.dialects.primitives import Lock
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table
from lookalike.dialects.tables.shards import ShardsSQL


class StoredFile(NamedTuple):
    """A row of `<collection>_files`.

    content_hash: the SHA-256 of the bytes. size: in bytes. mtime_ns: nanoseconds since 1970.
    """

    path: Path
    content_hash: bytes
    size: int
    mtime_ns: int


class FailedFile(NamedTuple):
    """A row of `<collection>_failures`; size and mtime_ns are None for an unreadable file."""

    path: str
    reason: str
    size: int | None
    mtime_ns: int | None


MAX_PATH = 4096
"""Maximum length of a path in characters."""

_PATH = (
    f"    path VARCHAR({MAX_PATH}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
    "    path_hash BINARY(32) AS (UNHEX(SHA2(path, 256))) STORED"
)
_RUN = ("added", "updated", "reused", "unchanged", "failed", "removed")


class FilesSQL(ShardsSQL):
    """Statements on `<collection>_files`, `<collection>_failures` and `lookalike_runs`."""

    # Paths are too long for a key, so their hash is the key.

    def create_files(self, table: Table, id_type: str) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side('_files')} (\n"
            f"    id {id_type} PRIMARY KEY,\n"
            f"{_PATH} UNIQUE,\n"
            "    content_hash BINARY(32) NOT NULL,\n"
            "    size BIGINT UNSIGNED NOT NULL,\n"
            "    mtime_ns BIGINT NOT NULL,\n"
            f"    KEY content_hash (content_hash){self.reference(table)}\n"
            ") ENGINE = InnoDB"
        )

    def create_failures(self, table: Table) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side('_failures')} (\n"
            f"{_PATH} {self.computed_key},\n"
            "    reason TEXT NOT NULL,\n"
            "    size BIGINT UNSIGNED,\n"
            "    mtime_ns BIGINT,\n"
            "    seen_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP\n"
            ") ENGINE = InnoDB CHARACTER SET utf8mb4"
        )

    def create_runs(self) -> Statement:
        """Create the table of last runs; ended_at is NULL while a run goes on, and if it died."""
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_runs (\n"
            "    collection VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,\n"
            "    started_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,\n"
            "    ended_at TIMESTAMP NULL,\n"
            + "".join(f"    {column} BIGINT UNSIGNED NOT NULL DEFAULT 0,\n" for column in _RUN)
            + "    error TEXT\n"
            ") ENGINE = InnoDB CHARACTER SET utf8mb4"
        )

    # Stored files.

    def insert_files(self, table: Table, rows: Sequence[tuple[int, StoredFile]]) -> Statement:
        return Statement(
            f"INSERT INTO {table.side('_files')} "
            f"(id, path, content_hash, size, mtime_ns) VALUES {values(5, len(rows))}",
            tuple(value for row_id, file in rows for value in (row_id, str(file.path), *file[1:])),
        )

    def update_file(self, table: Table, row_id: int, file: StoredFile) -> Statement:
        return Statement(
            f"UPDATE {table.side('_files')} "
            "SET content_hash = %s, size = %s, mtime_ns = %s WHERE id = %s",
            (*file[1:], row_id),
        )

    def touch_file(self, table: Table, row_id: int, file: StoredFile) -> Statement:
        """Update a stored file's time, unless another process stored other bytes meanwhile."""
        return Statement(
            f"UPDATE {table.side('_files')} SET size = %s, mtime_ns = %s "
            "WHERE id = %s AND content_hash = %s",
            (file.size, file.mtime_ns, row_id, file.content_hash),
        )

    def known_files(self, table: Table, paths: Sequence[str], *, lock: Lock = "") -> Statement:
        """Select (path, id, content_hash, size, mtime_ns) of those paths that are stored."""
        return Statement(
            "SELECT path, id, content_hash, size, mtime_ns "
            f"FROM {table.side('_files')} "
            f"WHERE path_hash IN ({path_hashes(paths)}) {self.locks[lock]}",
            tuple(paths),
        )

    def known_contents(self, table: Table, hashes: Sequence[bytes]) -> Statement:
        """Select (content_hash, embedding) of the first stored file of each content."""
        return Statement(
            f"SELECT content_hash, {self.embedding_bytes(table, 'v.')} AS embedding FROM ("
            f"SELECT content_hash, MIN(id) AS id FROM {table.side('_files')} "
            f"WHERE content_hash IN ({places(len(hashes))}) GROUP BY content_hash) AS first_ "
            f"JOIN {table.sql} AS v ON v.{table.id} = first_.id "
            f"WHERE v.{table.embedding} IS NOT NULL",
            tuple(hashes),
        )

    def files_of_contents(self, table: Table, hashes: Sequence[bytes]) -> Statement:
        """Select (content_hash, id, path, size, mtime_ns) of every file with these contents."""
        return Statement(
            "SELECT content_hash, id, path, size, mtime_ns "
            f"FROM {table.side('_files')} "
            f"WHERE content_hash IN ({places(len(hashes))}) ORDER BY id",
            tuple(hashes),
        )

    def lock_files(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, path, content_hash) and lock the rows until the transaction ends."""
        return Statement(
            f"SELECT id, path, content_hash FROM {table.side('_files')} "
            f"WHERE id IN ({places(len(ids))}) ORDER BY id {self.locks['update']}",
            tuple(ids),
        )

    def park_files(self, table: Table, ids: Sequence[int]) -> Statement:
        """Free the paths of rows, so that other rows can take them in the same transaction."""
        return Statement(
            f"UPDATE {table.side('_files')} SET path = CONCAT('moving ', id) "
            f"WHERE id IN ({places(len(ids))})",
            tuple(ids),
        )

    def move_file(self, table: Table, row_id: int, file: StoredFile) -> Statement:
        return Statement(
            f"UPDATE {table.side('_files')} SET path = %s, size = %s, mtime_ns = %s WHERE id = %s",
            (str(file.path), file.size, file.mtime_ns, row_id),
        )

    def ids_by_content(self, table: Table, content_hash: bytes) -> Statement:
        return Statement(
            f"SELECT id FROM {table.side('_files')} WHERE content_hash = %s ORDER BY id",
            (content_hash,),
        )

    def paths(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"SELECT id, path FROM {table.side('_files')} WHERE id IN ({places(len(ids))})",
            tuple(ids),
        )

    def files(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, path, content_hash, size, mtime_ns) of rows that have a file."""
        return Statement(
            "SELECT id, path, content_hash, size, mtime_ns "
            f"FROM {table.side('_files')} WHERE id IN ({places(len(ids))})",
            tuple(ids),
        )

    def files_below(self, table: Table, folder: str, after: int, limit: int) -> Statement:
        """Select (id, path) of files whose path begins with `folder`, starting after id `after`."""
        return Statement(
            f"SELECT id, path FROM {table.side('_files')} "
            "WHERE id > %s AND LEFT(path, CHAR_LENGTH(%s)) = %s ORDER BY id LIMIT %s",
            (after, folder, folder, limit),
        )

    def count_files_below(self, table: Table, folder: str) -> Statement:
        return Statement(
            f"SELECT COUNT(*) FROM {table.side('_files')} WHERE LEFT(path, CHAR_LENGTH(%s)) = %s",
            (folder, folder),
        )

    # Failures.

    def insert_failures(self, table: Table, rows: Sequence[FailedFile]) -> Statement:
        return Statement(
            f"REPLACE INTO {table.side('_failures')} (path, reason, size, mtime_ns) "
            f"VALUES {values(4, len(rows))}",
            tuple(value for row in rows for value in row),
        )

    def delete_failures(self, table: Table, paths: Sequence[str]) -> Statement:
        return Statement(
            f"DELETE FROM {table.side('_failures')} WHERE path_hash IN ({path_hashes(paths)})",
            tuple(paths),
        )

    def known_failures(self, table: Table, paths: Sequence[str]) -> Statement:
        """Select (path, reason, size, mtime_ns) of those paths that failed before."""
        return Statement(
            "SELECT path, reason, size, mtime_ns "
            f"FROM {table.side('_failures')} WHERE path_hash IN ({path_hashes(paths)})",
            tuple(paths),
        )

    def failures(self, table: Table) -> Statement:
        return Statement(
            "SELECT path, reason, size, mtime_ns, seen_at "
            f"FROM {table.side('_failures')} ORDER BY path"
        )

    def count_failures(self, table: Table) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {table.side('_failures')}")

    # Runs.

    def start_run(self, table: Table) -> Statement:
        return Statement("REPLACE INTO lookalike_runs (collection) VALUES (%s)", (table.name,))

    def end_run(self, table: Table, counts: Sequence[int], error: str | None) -> Statement:
        """End the run. counts: images added, updated, reused, unchanged, failed and removed."""
        assignments = ", ".join(f"{column} = %s" for column in _RUN)
        return Statement(
            f"UPDATE lookalike_runs SET {assignments}, error = %s, ended_at = CURRENT_TIMESTAMP "
            "WHERE collection = %s",
            (*counts, error, table.name),
        )

    def last_run(self, table: Table) -> Statement:
        return Statement(
            f"SELECT started_at, ended_at, {', '.join(_RUN)}, error "
            "FROM lookalike_runs WHERE collection = %s",
            (table.name,),
        )


def path_hashes(paths: Sequence[object]) -> str:
    """Return the keys of paths, as placeholders."""
    return ", ".join(["UNHEX(SHA2(%s, 256))"] * len(paths))
