"""Choose the fastest precision that keeps a model's accuracy, measured once per machine.

The choice is cached as JSON per model, processor and torch version.
"""

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np

from lookalike.models.base import FloatArray, Pixels
from lookalike.models.cache import keep, kept
from lookalike.models.clip.devices import default_device, processor_name

FLOAT32: Final = "float32"
NAMES: Final = frozenset({FLOAT32, "bfloat16", "float16"})
FEWEST_IMAGES: Final = 8
LEAST_COSINE: Final = 0.999
LEAST_SPEEDUP: Final = 1.2
ROUNDS: Final = 3
HOPELESS: Final = 3.0  # times slower than float32 in its first run

Embed = Callable[[Pixels], FloatArray]


@dataclass(frozen=True)
class Precision:
    """A number type to compute in, with its measured speed and accuracy.

    name: "float32", "bfloat16" or "float16". speedup: images per second as a multiple of float32's.
    cosine: the lowest cosine between an image's embedding and its float32 embedding.
    """

    name: str
    speedup: float
    cosine: float

    def __str__(self) -> str:
        if self.name == FLOAT32:
            return FLOAT32
        cosine = math.floor(self.cosine * 10_000) / 10_000
        return (
            f"{self.name}, {self.speedup:.1f} times {FLOAT32} on this machine, cosine to it at "
            f"least {cosine:.4f}"
        )


PLAIN: Final = Precision(FLOAT32, 1.0, 1.0)


def chosen_precision(model_id: str, *, device: str | None = None) -> Precision | None:
    """Return the precision chosen for a model on this machine; None before it is chosen.

    No model is loaded, and torch is imported only if the machine may have a GPU. device: as given
    to `load_model`.
    """
    name = _file_name(model_id, device)
    return _parse(kept(name)) if name else None


def choose_precision(
    model_id: str, device: str, pixels: Pixels, exact: Embed, candidates: Mapping[str, Embed]
) -> Precision:
    """Return the cached choice for a model, or measure and cache it: see `measure`."""
    chosen = chosen_precision(model_id, device=device)
    if chosen is None:
        chosen = measure(pixels, exact, candidates)
        if name := _file_name(model_id, device):
            keep(name, json.dumps(asdict(chosen)).encode())
    return chosen


def measure(pixels: Pixels, exact: Embed, candidates: Mapping[str, Embed]) -> Precision:
    """Return the fastest way to embed pixels (n, height, width, 3) that agrees with float32.

    exact: embeds in float32. candidates: other ways, by name; one that is imprecise, hardly faster,
    or fails is not chosen.
    """
    reference, patience = _timed(exact, pixels)
    precise: dict[str, float] = {}
    for name, embed in candidates.items():
        try:
            embeddings, seconds = _timed(embed, pixels)
        except RuntimeError:  # torch lacks an operation in this precision on this processor
            continue
        cosine = _least_cosine(embeddings, reference)
        if cosine >= LEAST_COSINE and seconds < HOPELESS * patience:
            precise[name] = cosine
    seconds_of = _median_seconds({FLOAT32: exact} | {n: candidates[n] for n in precise}, pixels)
    quickest = min(seconds_of, key=lambda name: seconds_of[name])
    speedup = seconds_of[FLOAT32] / seconds_of[quickest]
    if quickest == FLOAT32 or speedup < LEAST_SPEEDUP:
        return PLAIN
    return Precision(quickest, speedup, precise[quickest])


def _median_seconds(ways: Mapping[str, Embed], pixels: Pixels) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):  # alternating, so that other load affects all of them
        for name, embed in ways.items():
            seconds[name].append(_timed(embed, pixels)[1])
    return {name: statistics.median(each) for name, each in seconds.items()}


def _timed(embed: Embed, pixels: Pixels) -> tuple[FloatArray, float]:
    start = time.perf_counter()
    embeddings = embed(pixels)
    return embeddings, time.perf_counter() - start


def _least_cosine(embeddings: FloatArray, reference: FloatArray) -> float:
    a, b = embeddings.astype(np.float64), reference.astype(np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # NaN counts as disagreement
        return float(np.min((a * b).sum(axis=1) / norms))


def _file_name(model_id: str, device: str | None) -> str | None:
    from importlib import metadata  # slow to import

    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
    device = device or default_device()
    kind = device.partition(":")[0]
    key = json.dumps([model_id, kind, processor_name(device), version])
    return f"precision-{kind}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"


def _parse(content: bytes | None) -> Precision | None:
    try:
        chosen = Precision(**json.loads(content or b""))
    except (TypeError, ValueError):  # nothing cached, or by another version
        return None
    return chosen if chosen.name in NAMES else None
