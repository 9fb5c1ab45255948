"""Files that a server keeps by key."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lookalike.web.disk_cache import DiskCache
from tests.places import REPO

KEYS = [f"{number:032x}" for number in range(100)]
MARKS = ["", "640x400", "1x1"]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("mark", MARKS)
def test_what_is_put_is_found_after_a_restart(tmp_path, mark):
    DiskCache(tmp_path, 1000).put(KEYS[1], b"abc", mark=mark)
    cache = DiskCache(tmp_path, 1000)
    assert cache.get(KEYS[1]) == (mark, b"abc")
    assert cache.mark(KEYS[1]) == mark
    assert cache.size == 3
    assert cache.get(KEYS[2]) is None


def test_the_least_recently_used_go_first(tmp_path):
    cache = DiskCache(tmp_path, 100)
    for key in KEYS[:10]:
        cache.put(key, b"0123456789")
    assert cache.get(KEYS[0]) is not None
    cache.put(KEYS[10], b"0123456789")
    kept = [key for key in KEYS[:11] if cache.get(key)]
    assert kept == [KEYS[0], *KEYS[3:11]]
    assert sum(path.stat().st_size for path in files_in(tmp_path)) == cache.size == 90


def test_the_order_of_use_survives_a_restart(tmp_path):
    cache = DiskCache(tmp_path, 1000)
    long_ago = time.time() - 100_000
    for age, key in enumerate(KEYS[:10]):
        cache.put(key, b"0123456789")
        os.utime(next(tmp_path.rglob(f"{key}*")), (long_ago + age, long_ago + age))
    assert DiskCache(tmp_path, 1000).get(KEYS[0]) is not None
    cache = DiskCache(tmp_path, 50)
    assert [key for key in KEYS[:10] if cache.get(key)] == [KEYS[0], *KEYS[7:10]]


def test_a_replaced_file_counts_once(tmp_path):
    cache = DiskCache(tmp_path, 1000)
    cache.put(KEYS[1], b"first", mark="1x1")
    cache.put(KEYS[1], b"second", mark="2x2")
    assert cache.get(KEYS[1]) == ("2x2", b"second")
    assert cache.size == 6
    assert len(files_in(tmp_path)) == 1


def test_a_file_that_was_cut_short_is_not_served(tmp_path):
    DiskCache(tmp_path, 1000).put(KEYS[1], b"whole")
    (path,) = files_in(tmp_path)
    running = DiskCache(tmp_path, 1000)
    assert running.get(KEYS[1])
    path.write_bytes(b"who")
    assert running.get(KEYS[1]) is None
    path.write_bytes(b"who")
    assert DiskCache(tmp_path, 1000).get(KEYS[1]) is None
    assert not files_in(tmp_path)


def test_a_deleted_file_is_missing(tmp_path):
    cache = DiskCache(tmp_path, 1000)
    cache.put(KEYS[1], b"whole")
    files_in(tmp_path)[0].unlink()
    assert cache.get(KEYS[1]) is None
    assert cache.size == 0


def test_another_process_sees_new_files(tmp_path):
    one, other = DiskCache(tmp_path, 1000), DiskCache(tmp_path, 1000)
    assert other.get(KEYS[1]) is None
    one.put(KEYS[1], b"abc", mark="1x1")
    assert other.get(KEYS[1]) == ("1x1", b"abc")
    assert other.size == 3


def test_an_unwritable_folder_keeps_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file", 1000)
    cache.put(KEYS[1], b"abc")
    assert cache.get(KEYS[1]) is None


def test_unfinished_files_of_killed_processes_go(tmp_path):
    folder = tmp_path / "00"
    folder.mkdir()
    (folder / ".old.partial").write_bytes(b"x")
    os.utime(folder / ".old.partial", (1, 1))
    (folder / ".new.partial").write_bytes(b"x")
    assert DiskCache(tmp_path, 1000).size == 0
    assert [path.name for path in files_in(tmp_path)] == [".new.partial"]


def test_a_process_that_is_killed_leaves_nothing_half_written(tmp_path):
    program = (
        "import sys; from pathlib import Path; from itertools import count\n"
        "from lookalike.web.disk_cache import DiskCache\n"
        "cache = DiskCache(Path(sys.argv[1]), 10**9)\n"
        "print(flush=True)\n"
        "for n in count(): cache.put(f'{n % 50:032x}', bytes([n % 251]) * 2_000_000)\n"
    )
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        )
        with process:
            process.stdout.readline()
            time.sleep(0.1)
            process.send_signal(signal.SIGKILL)
    cache = DiskCache(tmp_path, 10**9)
    found = [cache.get(key) for key in KEYS[:50]]
    contents = [each.content for each in found if each]
    assert contents
    assert all(content == content[:1] * 2_000_000 for content in contents)
