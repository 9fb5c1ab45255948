"""The server's memory, its new data folder, and what its log is taken to mean."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lookalike.server import log
from lookalike.server.engine import MARIADB
from lookalike.server.folders import Folders
from lookalike.server.mysqld import inspect
from lookalike.server.process import make_data
from lookalike.server.settings import buffer_pool_bytes

MEGABYTE = 2**20


@pytest.mark.parametrize(("memory", "pool"), [(256, 128), (2048, 512), (8192, 2048), (65536, 4096)])
def test_the_buffer_pool_is_a_quarter_of_the_memory_within_bounds(
    monkeypatch: pytest.MonkeyPatch, memory: int, pool: int
) -> None:
    total = SimpleNamespace(total=memory * MEGABYTE)
    monkeypatch.setattr("psutil.virtual_memory", lambda: total)
    monkeypatch.setattr(Path, "read_text", lambda path: "max\n")
    assert buffer_pool_bytes() == pool * MEGABYTE


def test_the_limit_of_a_container_counts_as_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    total = SimpleNamespace(total=65536 * MEGABYTE)
    monkeypatch.setattr("psutil.virtual_memory", lambda: total)
    monkeypatch.setattr(Path, "read_text", lambda path: f"{1024 * MEGABYTE}\n")
    assert buffer_pool_bytes() == 256 * MEGABYTE


def test_a_new_data_folder_needs_no_folder_of_others(
    installed_mariadbd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another MariaDB that starts removes the temporary tables in the folder that both use."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nothing"))
    (tmp_path / "home").mkdir(mode=0o700)
    folders = Folders(tmp_path / "home", MARIADB)
    make_data(inspect(installed_mariadbd, MARIADB), folders, megabytes=1)
    assert (folders.data / "mysql").is_dir()


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("InnoDB: preallocating 9 bytes for ./x failed with error 28", "the disk of /d is full"),
        ("[InnoDB] Error number 28 means 'No space left on device'", "the disk of /d is full"),
        (
            "Invalid MySQL server downgrade: Cannot downgrade from 100203 to 90704. Downgrade is",
            "MySQL 9.7.4 could not start on /d, which MySQL 10.2.3 has made: set LOOKALIKE_MYSQLD",
        ),
        ("Something else", "see the end of its log"),
        ("", "see the end of its log"),
    ],
)
def test_the_cause_is_the_first_line_and_the_log_follows(line: str, cause: str) -> None:
    first, *rest = log.explain("\n".join(["early"] * 30 + [line]), data=Path("/d")).splitlines()
    assert cause in first
    assert rest[-1] == (line or "early")
    assert len(rest) == 20
