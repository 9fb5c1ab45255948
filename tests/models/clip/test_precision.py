"""The choice of a precision: by accuracy, then by time; kept, and damaged."""

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from lookalike.models.base import FloatArray, Pixels
from lookalike.models.cache import keep
from lookalike.models.clip import precision as precision
from lookalike.models.clip.precision import (
    Precision,
    choose_precision,
    chosen_precision,
    measure,
)

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 3), dtype=np.uint8)
FLOAT32 = Precision("float32", 1.0, 1.0)


class Clock:
    """Time that passes only where an embedder says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(precision.time, "perf_counter", clock)
    return clock


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path))
    return tmp_path


class Embedder:
    """Embeds each image as its 48 values plus an error, in a given time."""

    def __init__(self, clock: Clock, seconds: float, error: float = 0.0) -> None:
        self.clock, self.seconds, self.error = clock, seconds, error
        self.calls = 0

    def __call__(self, pixels: Pixels) -> FloatArray:
        self.calls += 1
        self.clock.now += self.seconds
        embeddings = pixels.reshape(len(pixels), -1).astype(np.float32)
        embeddings[-1, 0] += self.error * float(np.linalg.norm(embeddings[-1]))
        return embeddings


def test_the_quickest_accurate_one_is_chosen(clock: Clock) -> None:
    candidates = {"bfloat16": Embedder(clock, 0.5, 0.01), "float16": Embedder(clock, 0.25, 0.02)}
    chosen = measure(PIXELS, Embedder(clock, 1.0), candidates)
    embedding = PIXELS[-1].reshape(-1).astype(float)
    other = embedding.copy()
    other[0] += 0.02 * np.linalg.norm(embedding)
    cosine = embedding @ other / np.linalg.norm(embedding) / np.linalg.norm(other)
    assert (chosen.name, chosen.speedup) == ("float16", 4.0)
    assert chosen.cosine == pytest.approx(cosine, abs=1e-6)
    assert 0.999 <= chosen.cosine < 0.9999


@pytest.mark.parametrize("error", [0.1, 1e9, np.inf, np.nan])
def test_an_imprecise_one_is_refused_however_quick(clock: Clock, error: float) -> None:
    candidates = {"float16": Embedder(clock, 0.01, error), "bfloat16": Embedder(clock, 0.5)}
    assert measure(PIXELS, Embedder(clock, 1.0), candidates).name == "bfloat16"
    del candidates["bfloat16"]
    assert measure(PIXELS, Embedder(clock, 1.0), candidates) == FLOAT32


def test_one_image_that_goes_wrong_is_enough(clock: Clock) -> None:
    def zeroes_one(pixels: Pixels) -> FloatArray:
        embeddings = Embedder(clock, 0.1)(pixels)
        embeddings[3] = 0
        return embeddings

    assert measure(PIXELS, Embedder(clock, 1.0), {"float16": zeroes_one}) == FLOAT32


def test_one_that_is_hardly_quicker_is_not_worth_it(clock: Clock) -> None:
    assert measure(PIXELS, Embedder(clock, 1.0), {"bfloat16": Embedder(clock, 0.9)}) == FLOAT32
    assert measure(PIXELS, Embedder(clock, 1.0), {"bfloat16": Embedder(clock, 2.0)}) == FLOAT32


def test_one_that_is_hopelessly_slow_is_run_once(clock: Clock) -> None:
    slow = Embedder(clock, 50.0)
    assert measure(PIXELS, Embedder(clock, 1.0), {"bfloat16": slow}) == FLOAT32
    assert slow.calls == 1


def test_one_that_the_processor_lacks_is_passed_over(clock: Clock) -> None:
    def fail(pixels: Pixels) -> FloatArray:
        raise RuntimeError("not implemented for 'Half'")

    candidates = {"float16": fail, "bfloat16": Embedder(clock, 0.5)}
    assert measure(PIXELS, Embedder(clock, 1.0), candidates).name == "bfloat16"


def choose(clock: Clock, model: str = "clip") -> tuple[Precision, int]:
    """What is chosen, and how often float32 was run for it."""
    exact = Embedder(clock, 1.0)
    candidates = {"bfloat16": Embedder(clock, 0.25)}
    return choose_precision(model, "cpu", PIXELS, exact, candidates), exact.calls


def test_a_choice_is_made_once_for_each_model(clock: Clock) -> None:
    assert chosen_precision("clip", device="cpu") is None
    chosen, calls = choose(clock)
    assert calls > 0
    assert (chosen.name, chosen.speedup) == ("bfloat16", 4.0)
    assert chosen_precision("clip", device="cpu") == chosen
    assert choose(clock) == (chosen, 0)
    assert chosen_precision("other", device="cpu") is None


def test_float32_is_a_choice_too(clock: Clock) -> None:
    assert choose_precision("clip", "cpu", PIXELS, Embedder(clock, 1.0), {}) == FLOAT32
    assert chosen_precision("clip", device="cpu") == FLOAT32


@pytest.mark.parametrize("what", ["processor_name", "torch"])
def test_another_processor_or_torch_chooses_anew(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    choose(clock)
    if what == "torch":
        monkeypatch.setattr(metadata, "version", lambda package: "99.0")
    else:
        monkeypatch.setattr(precision, "processor_name", lambda device: "a 386")
    assert chosen_precision("clip", device="cpu") is None
    assert choose(clock)[1] > 0


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.name.startswith("precision"))


@pytest.mark.parametrize("damage", ["cut", "bit", "empty"])
def test_a_damaged_file_is_ignored_and_replaced(clock: Clock, folder: Path, damage: str) -> None:
    chosen, _ = choose(clock)
    (path,) = files(folder)
    raw = path.read_bytes()
    path.write_bytes({"cut": raw[:-3], "bit": raw[:-1] + b"!", "empty": b""}[damage])
    assert chosen_precision("clip", device="cpu") is None
    assert choose(clock)[1] > 0
    assert chosen_precision("clip", device="cpu") == chosen
    assert path.read_bytes() == raw


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"nonsense",
        b'{"name": "bfloat16"}',
        b'{"name": "int1", "speedup": 9.0, "cosine": 1.0}',
    ],
)
def test_a_file_of_another_version_is_ignored(clock: Clock, folder: Path, content: bytes) -> None:
    choose(clock)
    (path,) = files(folder)
    keep(path.name, content)
    assert chosen_precision("clip", device="cpu") is None


def test_without_torch_nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(package: str) -> str:
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", lacking)
    monkeypatch.setattr(precision, "default_device", lambda: pytest.fail("it imports torch"))
    assert chosen_precision("clip") is None


def test_it_is_told_in_words() -> None:
    assert str(FLOAT32) == "float32"
    assert str(Precision("bfloat16", 3.86, 0.99989)) == (
        "bfloat16, 3.9 times float32 on this machine, cosine to it at least 0.9998"
    )


def test_looking_it_up_loads_no_torch() -> None:
    code = (
        "import sys; from lookalike.models.clip.precision import chosen_precision; "
        "print(chosen_precision('clip', device='cpu'), 'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "None False\n"
