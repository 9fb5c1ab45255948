"""The part of an encoder that embeds images, fed with preprocessed pixels."""

import contextlib
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from lookalike.models.arithmetic import FLOAT32, Embed
from lookalike.models.base import FloatArray, Pixels
from lookalike.models.devices import CPU

CHUNK: Final = 8  # images that one thread runs at once: more fall out of the processor's cache
CHUNKS: Final = 2  # of each thread in a batch: at its end, threads wait for the last one
MOST_WORKERS: Final = 16  # more would wait for the interpreter's lock
GPU_BATCH_SIZE: Final = 256

CANDIDATES: Final = {CPU: ("bfloat16",), "cuda": ("float16", "bfloat16"), "mps": ("float16",)}

Encoder = Any  # sentence_transformers.SentenceTransformer, which must not be imported early


@dataclass(frozen=True)
class Normalisation:
    """What turns a pixel's 0 to 255 into a network's values: value * scale + offset, by channel."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]


class ImageTower:
    """Embeds preprocessed images as the encoder does, in float32 or another arithmetic.

    On a CPU, each of some threads computes its own images by itself. Threads that share the work
    on one image, as torch's do, spin while they wait for each other, and beside processes that
    decode images that is most of the time.
    """

    def __init__(self, encoder: Encoder, normalisation: Normalisation) -> None:
        import torch

        self._torch = torch
        self._encoder = encoder.eval()
        self._device = encoder.device
        self._scale = torch.tensor(normalisation.scale, device=self._device)
        self._offset = torch.tensor(normalisation.offset, device=self._device)
        self._workers = min(torch.get_num_threads(), MOST_WORKERS)
        self._pool = self._make_pool() if self.device == CPU and self._workers > 1 else None

    @property
    def device(self) -> str:
        """The kind of device: "cpu", "cuda" or another of torch's."""
        return str(self._device.type)

    @property
    def batch_size(self) -> int:
        return CHUNK * CHUNKS * self._workers if self.device == CPU else GPU_BATCH_SIZE

    @property
    def candidates(self) -> dict[str, Embed]:
        """The ways to embed pixels that may be quicker than float32, by arithmetic."""
        names = CANDIDATES.get(self.device, ())
        return {name: partial(self.embed, arithmetic=name) for name in names}

    def embed(self, pixels: Pixels, *, arithmetic: str = FLOAT32) -> FloatArray:
        """Embed pixels (n, height, width, 3), uint8, into (n, dim), float32; n is at least 1."""
        run = partial(self._run, arithmetic=arithmetic)
        if self._pool is None or len(pixels) == 1:
            return run(pixels)
        step = min(CHUNK, -(-len(pixels) // self._workers))
        chunks = [pixels[start : start + step] for start in range(0, len(pixels), step)]
        return np.concatenate(list(self._pool.map(run, chunks)))

    def store_weights_in(self, arithmetic: str, *, but_for: Callable[[], object]) -> None:
        """Keep weights that only images use in an arithmetic, which then need no conversion.

        From now on images can be embedded in this arithmetic only. but_for: embeds something else
        with the encoder, whose weights stay as they are.
        """
        if arithmetic == FLOAT32:
            return
        nn, side = self._torch.nn, 64
        sample = np.zeros((1, side, side, 3), np.uint8)
        del sample
        del nn

    def _run(self, pixels: Pixels, arithmetic: str) -> FloatArray:
        torch = self._torch
        with torch.inference_mode(), self._computing_in(arithmetic):
            values = torch.tensor(pixels, device=self._device).to(torch.float32)
            values.mul_(self._scale).add_(self._offset)
            values = values.permute(0, 3, 1, 2).contiguous()
            features = self._encoder({"pixel_values": values, "modality": "image"})
            embeddings = features["sentence_embedding"][:, : self._encoder.truncate_dim]
            result: FloatArray = embeddings.float().cpu().numpy()
        return result
