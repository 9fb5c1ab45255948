"""The ingest benchmark's own parts: its photographs, its tables, its view of memory."""

import os

import numpy as np
import pytest
from PIL import Image

from benchmarks import ingest, photographs
from benchmarks.ingest import Stored, Task


@pytest.fixture
def originals(monkeypatch, photos):
    images = [Image.open(photos / name).convert("RGB") for name in ("cat.jpg", "bee.jpg")]
    monkeypatch.setattr(photographs, "originals", lambda: images)
    return images


def test_photographs_differ_and_are_made_once(originals, tmp_path):
    folder = photographs.make(tmp_path / "made", 5, (120, 90))
    files = sorted(folder.iterdir())
    made = [np.asarray(Image.open(file)).astype(float) for file in files]
    assert [image.shape for image in made] == [(90, 120, 3)] * 5
    assert min(image.std() for image in made) > 10
    assert len({file.read_bytes() for file in files}) == 5
    assert np.abs(made[0] - made[2]).mean() > 5  # of the same original
    before = files[0].stat().st_mtime_ns
    assert photographs.make(tmp_path / "made", 5, (120, 90)) == folder
    assert files[0].stat().st_mtime_ns == before


def test_a_photograph_is_the_same_on_every_machine(originals):
    one, again, other = (
        photographs.variation(originals[0], (60, 45), number) for number in (1, 1, 2)
    )
    assert one.tobytes() == again.tobytes() != other.tobytes()


def test_the_tables_show_medians_and_ratios():
    runs = [Stored(rate, {"decode": 2 * rate, "embed": rate}, 1.0) for rate in (30.0, 40.0, 90.0)]
    models = {"float32": 25.0, "chosen": 50.0}
    table = ingest.rates_table(20.0, runs, models, "bfloat16").splitlines()
    assert "| lookalike | 40.0 | 2.00 | 0.80 |" in table
    assert "| the model alone, float32 | 25.0 | 1.25 | 0.50 |" in table
    assert "| the model alone, bfloat16 | 50.0 | 2.50 | 1.00 |" in table
    assert "bfloat16" not in ingest.rates_table(20.0, runs, models, "float32")
    assert "| decode | 80.0 |" in ingest.stages_table(runs).splitlines()


def test_the_models_alone_agree(originals, tmp_path):
    folder = photographs.make(tmp_path / "made", 3, (300, 225))
    task = Task("efficientnet-lite2", None, 2, folder)
    (_, exact), (_, chosen) = (ingest.alone(task, exact, seconds=0.0) for exact in (True, False))
    assert exact.shape == (3, 1280)
    np.testing.assert_array_equal(exact, chosen)


def test_memory_is_that_of_the_whole_tree():
    block = bytearray(os.urandom(30_000_000))
    assert ingest.bytes_in_use(os.getpid()) > len(block)
    assert ingest.bytes_in_use(2**22 + 1) == 0
