"""Images through an ONNX graph: preprocess, batch, run."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.errors import InputError, ModelError
from lookalike.models.base import FloatArray

BATCH_SIZE: Final = 8  # larger ones fall out of the processor's cache and are slower


@dataclass(frozen=True)
class Preprocessing:
    """How an image becomes a network's input.

    The short side is resized to `short_side` pixels (bicubic), a central square of `crop` pixels
    is cut out, and values 0 to 255 become (value - mean) / scale.
    """

    short_side: int
    crop: int
    mean: float
    scale: float

    def __call__(self, image: Image.Image) -> FloatArray:
        """Turn an RGB image into an array of shape (3, crop, crop), float32.

        Raises InputError when the image is not RGB.
        """
        if image.mode != "RGB":
            raise InputError(f"an image of mode {image.mode!r} cannot be embedded: make it RGB")
        # only the square is resampled: a 1 x 5000 image resized whole would be 298 x 1,490,000
        side = min(image.size) * self.crop / self.short_side
        left, top = ((length - side) / 2 for length in image.size)
        square = image.resize(
            (self.crop, self.crop),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        pixels = np.asarray(square, dtype=np.float32).transpose(2, 0, 1)
        return np.ascontiguousarray((pixels - self.mean) / self.scale, dtype=np.float32)


class OnnxModel:
    """A Model over an ONNX graph of one input, run by ONNX Runtime on the CPU.

    id: what a collection remembers.
    graph: the serialised graph; its input has shape (n, 3, height, width), float32.
    output: the name of the output that is the embedding, of shape (n, dim).
    mean: subtracted from each embedding, shape (dim,).
    threads: how many threads run one batch; as many as this process has cores when None.
    """

    def __init__(
        self,
        *,
        id: str,
        graph: bytes,
        preprocessing: Preprocessing,
        output: str,
        mean: FloatArray | None = None,
        batch_size: int = BATCH_SIZE,
        threads: int | None = None,
    ) -> None:
        self._id = id
        self._preprocessing = preprocessing
        self._output = output
        self._batch_size = batch_size
        self._session = _make_session(graph, threads=threads or _available_cores())
        self._input = self._session.get_inputs()[0].name
        self._dim: int = next(o.shape[1] for o in self._session.get_outputs() if o.name == output)
        self._mean = np.zeros(self._dim, np.float32) if mean is None else mean
        if self._mean.shape != (self._dim,):
            raise ModelError(f"the mean of {id} has shape {self._mean.shape}, not ({self._dim},)")

    @property
    def id(self) -> str:
        return self._id

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def has_text(self) -> bool:
        return False

    def preprocess(self, image: Image.Image) -> FloatArray:
        """Turn an RGB image into the network's input, shape (3, height, width), float32.

        Safe to call from several threads. Raises InputError when the image is not RGB.
        """
        return self._preprocessing(image)

    def run(self, output: str, pixels: FloatArray) -> FloatArray:
        """Compute one of the graph's outputs for a batch of preprocessed images."""
        result: FloatArray = self._session.run([output], {self._input: pixels})[0]
        return result

    def embed_batch(self, pixels: FloatArray) -> FloatArray:
        """Embed preprocessed images: (n, 3, height, width) to (n, dim), float32, as one batch."""
        return self.run(self._output, pixels) - self._mean

    def embed_images(self, images: Sequence[Image.Image]) -> FloatArray:
        """Embed RGB images into an array of shape (n, dim), float32, in their order.

        Raises InputError when an image is not RGB.
        """
        embeddings = np.empty((len(images), self._dim), np.float32)
        for start in range(0, len(images), self._batch_size):
            batch = images[start : start + self._batch_size]
            pixels = np.stack([self.preprocess(image) for image in batch])
            embeddings[start : start + len(batch)] = self.embed_batch(pixels)
        return embeddings

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Raise ModelError: a network of images has no text."""
        raise ModelError(
            f"the model {self._id} has no text: use a CLIP model, such as --model clip-ViT-B-32 "
            "(pip install 'lookalike[clip]')"
        )


def _available_cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def _make_session(graph: bytes, *, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # idle threads that spin take the cores from those that decode the next images
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3  # errors, which are raised as well
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
