"""The image part of an encoder, which takes preprocessed pixels."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from lookalike.models.base import FloatArray, Pixels
from lookalike.models.clip.devices import CPU
from lookalike.models.clip.precision import FLOAT32, Embed

CHUNK: Final = 8  # images per run of one thread: more would not fit the CPU's cache
CHUNKS: Final = 2  # per thread and batch: at the batch's end, threads wait for the slowest
MOST_WORKERS: Final = 16  # more would wait for the GIL
GPU_BATCH_SIZE: Final = 256

CANDIDATES: Final = {CPU: ("bfloat16",), "cuda": ("float16", "bfloat16"), "mps": ("float16",)}

Encoder = Any  # sentence_transformers.SentenceTransformer, which must not be imported early


@dataclass(frozen=True)
class Normalisation:
    """Maps pixel values 0 to 255 to the network's input: value * scale + offset, per channel."""

    scale: tuple[float, float, float]
    offset: tuple[float, float, float]


class ImageTower:
    """Embeds preprocessed images as the encoder does, in float32 or another precision.

    On a CPU, each thread computes its own images. Threads that share one image, as torch's do, spin
    while they wait for each other, which is most of the time if other processes decode images.
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
        """Return the device's name, such as "cpu" or "cuda:0"."""
        return str(self._device)

    @property
    def batch_size(self) -> int:
        return CHUNK * CHUNKS * self._workers if self.device == CPU else GPU_BATCH_SIZE

    @property
    def candidates(self) -> dict[str, Embed]:
        """Return possibly faster ways than float32 to embed pixels, by precision."""
        names = CANDIDATES.get(self._device.type, ())
        return {name: partial(self.embed, precision=name) for name in names}

    def embed(self, pixels: Pixels, *, precision: str = FLOAT32) -> FloatArray:
        """Embed pixels (n, height, width, 3), uint8, into (n, dim), float32; n is at least 1."""
        run = partial(self._run, precision=precision)
        if self._pool is None or len(pixels) == 1:
            return run(pixels)
        step = min(CHUNK, -(-len(pixels) // self._workers))
        chunks = [pixels[start : start + step] for start in range(0, len(pixels), step)]
        return np.concatenate(list(self._pool.map(run, chunks)))

    def store_weights(
        self, precision: str, pixels: Pixels, embed_others: Callable[[], object]
    ) -> None:
        """Store the weights that only images use in this precision: half the bytes, no conversions.

        After this, images can be embedded only in that precision. pixels: any images. embed_others:
        runs the encoder on other input, whose weights must not change.
        """
        if precision == FLOAT32:
            return
        nn = self._torch.nn
        images = self._modules_run_by(lambda: self._run(pixels[:1], precision))
        mine = {
            module
            for module in images - self._modules_run_by(embed_others)
            if isinstance(module, nn.Linear | nn.Conv2d)  # autocast would convert these each time
        }
        others = [module for module in self._encoder.modules() if module not in mine]
        shared = {id(p) for module in others for p in module.parameters(recurse=False)}
        for module in mine:
            if not shared & {id(p) for p in module.parameters(recurse=False)}:
                module.to(getattr(self._torch, precision))

    def _modules_run_by(self, action: Callable[[], object]) -> set[Any]:
        run: set[Any] = set()

        def remember(module: Any, _: object) -> None:
            run.add(module)

        hooks = [m.register_forward_pre_hook(remember) for m in self._encoder.modules()]
        try:
            action()
        finally:
            for hook in hooks:
                hook.remove()
        return run

    def _run(self, pixels: Pixels, precision: str) -> FloatArray:
        torch = self._torch
        with torch.inference_mode(), self._computing_in(precision):
            values = torch.tensor(pixels, device=self._device).to(torch.float32)
            values.mul_(self._scale).add_(self._offset)
            values = values.permute(0, 3, 1, 2).contiguous()
            features = self._encoder({"pixel_values": values, "modality": "image"})
            embeddings = features["sentence_embedding"][:, : self._encoder.truncate_dim]
            result: FloatArray = embeddings.float().cpu().numpy()
        return result

    def _computing_in(self, precision: str) -> AbstractContextManager[object]:
        if precision == FLOAT32:
            return nullcontext()
        dtype = getattr(self._torch, precision)
        # Each weight is used once per batch, so caching converted weights would only use memory.
        autocast: AbstractContextManager[object] = self._torch.autocast(
            self._device.type, dtype, cache_enabled=False
        )
        return autocast

    def _make_pool(self) -> ThreadPoolExecutor:
        """Return a pool of threads, each with an equal share of torch's default thread count."""
        torch = self._torch
        usual = torch.get_num_threads()
        share = usual // self._workers
        together = threading.Barrier(self._workers)

        def start(_: int) -> None:
            torch.get_num_threads()  # otherwise torch would reset this thread's count on first use
            torch.set_num_threads(share)
            together.wait()

        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="embed")
        list(pool.map(start, range(self._workers)))
        torch.set_num_threads(usual)  # for this thread and later ones
        return pool
