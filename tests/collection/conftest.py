"""A collection, and calls that are killed."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from lookalike import Collection, Database
from tests.collection.albums import DIE, Killed, make


@pytest.fixture
def killed(database_url: str) -> Iterator[Killed]:
    """Whether a client that makes a call is killed before the change of a number."""
    with subprocess.Popen(
        [sys.executable, "-c", DIE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout

        def is_killed(step: int, method: str, *names: str) -> bool:
            print(step, database_url, method, *names, file=process.stdin, flush=True)
            status = process.stdout.readline().strip()
            assert status in ("0", "-9"), status
            return status == "-9"

        yield is_killed
        process.stdin.close()


@pytest.fixture
def album(db: Database) -> Collection:
    """`photos`, beside `photos2` and tables of the user's own with similar names."""
    make(db, "photos2", 2)
    db.rows("CREATE TABLE photos_codes_2024 (id INT PRIMARY KEY)")
    db.rows("CREATE TABLE photos_cells_9 (id INT) COMMENT 'lookalike: index of photos'")
    db.rows("CREATE TABLE photos_notes (id INT PRIMARY KEY)")
    return make(db, "photos")
