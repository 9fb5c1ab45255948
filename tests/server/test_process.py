"""The server's memory, and what its log is taken to mean."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lookalike.server import log
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
