"""Files built once: kept whole, rebuilt when damaged, built by several processes at once."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import platformdirs
import pytest

from lookalike.models.cache import cache_folder, cached
from lookalike.models.efficientnet.model import EfficientNetLite2

CONTENT = b"content" * 1000


class Builder:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return CONTENT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "not" / "yet"
    monkeypatch.setenv("LOOKALIKE_CACHE", str(folder))
    return folder


def test_builds_once(folder: Path) -> None:
    build = Builder()
    assert [cached("thing", build) for _ in range(3)] == [CONTENT] * 3
    assert build.calls == 1
    assert [path.name for path in folder.iterdir()] == ["thing"]


def test_the_users_cache_folder_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOKALIKE_CACHE", raising=False)
    assert cache_folder() == platformdirs.user_cache_path("lookalike")


@pytest.mark.parametrize("damage", ["empty", "short header", "cut", "bit", "longer"])
def test_a_damaged_file_is_built_again(folder: Path, damage: str) -> None:
    build = Builder()
    cached("thing", build)
    path = folder / "thing"
    raw = path.read_bytes()
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 1
    path.write_bytes(
        {
            "empty": b"",
            "short header": raw[:10],
            "cut": raw[:-1],
            "bit": bytes(flipped),
            "longer": raw + b"x",
        }[damage]
    )
    assert cached("thing", build) == CONTENT
    assert build.calls == 2
    assert path.read_bytes() == raw


def test_a_folder_that_cannot_be_written_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"")
    monkeypatch.setenv("LOOKALIKE_CACHE", str(file / "below"))
    build = Builder()
    assert cached("thing", build) == cached("thing", build) == CONTENT
    assert build.calls == 2


def test_a_damaged_graph_is_built_again(folder: Path) -> None:
    zeros = np.zeros((1, 260, 260, 3), np.uint8)
    before = EfficientNetLite2().embed_batch(zeros)
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    np.testing.assert_array_equal(EfficientNetLite2().embed_batch(zeros), before)
    assert path.read_bytes() == whole


def test_processes_that_build_at_once_both_get_the_model(folder: Path) -> None:
    code = "import lookalike; print(lookalike.load_model('efficientnet-lite2').dim)"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert answers == [("1280\n", "")] * 3
    assert [path.name for path in folder.iterdir()] == [
        f"efficientnet-lite2-v2-onnxruntime-{onnxruntime.__version__}.graph"
    ]
