"""Run an ONNX graph on images: preprocess, batch, run."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.core.errors import ModelError
from lookalike.core.threads import available_cores
from lookalike.models.base import FloatArray, Pixels
from lookalike.models.preprocessing import Preprocessing

CHUNK: Final = 2  # images per run of one thread: more would not fit the CPU's cache
CHUNKS: Final = 4  # per thread and batch: at the batch's end, threads wait for the slowest


class OnnxModel:
    """A BatchModel that runs an ONNX graph with one input by ONNX Runtime on the CPU.

    id: stored with a collection.
    graph: the serialised graph; its input has shape (n, height, width, 3), uint8.
    preprocessing: makes that input.
    output: the name of the output that is the embedding, of shape (n, dim).
    mean: subtracted from each embedding, shape (dim,).
    threads: how many run one batch, each on its own images; None: one per core.
    """

    def __init__(
        self,
        *,
        id: str,
        graph: bytes,
        preprocessing: Preprocessing,
        output: str,
        mean: FloatArray | None = None,
        threads: int | None = None,
    ) -> None:
        self._id = id
        self._preprocessing = preprocessing
        self._output = output
        self._session = _make_session(graph)
        self._threads = threads or available_cores()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="embed")
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

    @property
    def preprocessing(self) -> Preprocessing:
        return self._preprocessing

    @property
    def batch_size(self) -> int:
        return CHUNK * CHUNKS * self._threads

    @property
    def precision(self) -> str:
        return "float32"

    def run(self, output: str, pixels: Pixels) -> FloatArray:
        """Compute one output of the graph for preprocessed images, in all threads."""

        def run(start: int) -> FloatArray:
            chunk = {self._input: pixels[start : start + CHUNK]}
            result: FloatArray = self._session.run([output], chunk)[0]
            return result

        starts = range(0, max(len(pixels), 1), CHUNK)  # without images, one empty chunk
        return np.concatenate(list(self._pool.map(run, starts)))

    def embed_batch(self, pixels: Pixels) -> FloatArray:
        """Embed preprocessed images: (n, height, width, 3) uint8 to (n, dim) float32, at once."""
        return self.run(self._output, pixels) - self._mean

    def embed_images(self, images: Sequence[Image.Image]) -> FloatArray:
        """Embed RGB images into an array of shape (n, dim), float32, in their order.

        Raises InputError when an image is not RGB.
        """
        embeddings = np.empty((len(images), self._dim), np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            pixels = np.stack(list(self._pool.map(self._preprocessing, batch)))
            embeddings[start : start + len(batch)] = self.embed_batch(pixels)
        return embeddings

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Raise ModelError: the network does not support text."""
        raise ModelError(
            f"the model {self._id} has no text: make a collection for a CLIP model: "
            "lookalike add FOLDER --model clip-ViT-B-32 --collection NAME"
        )


def optimised(graph: bytes) -> bytes:
    """Return a graph in which operators are fused, to load in half the time.

    The optimisations that depend on the machine are left to loading.
    """
    import onnxruntime

    options = _options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with TemporaryDirectory() as folder:
        file = Path(folder, "optimised.onnx")
        options.optimized_model_filepath = str(file)
        _make_session(graph, options)
        return file.read_bytes()


def runtime_version() -> str:
    """Return the version of ONNX Runtime."""
    import onnxruntime

    return str(onnxruntime.__version__)


def _make_session(graph: bytes, options: Any = None) -> Any:
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    return onnxruntime.InferenceSession(graph, options or _options(), providers=providers)


def _options() -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Threads that share one image wait for each other, most of all while processes decode.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only, which are also raised
    return options
