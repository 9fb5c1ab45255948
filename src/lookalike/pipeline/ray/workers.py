"""What runs on Ray's workers: tasks decode files, actors hold the model and embed.

Every file comes back as a row, a failed one, too: Ray would repeat a task that raises for ever, or
drop all of its rows. Files are decoded in sandboxed child processes, as everywhere.
"""

import platform
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core import threads
from lookalike.core.errors import EmbeddingError, ImageError, LookalikeError
from lookalike.core.remote import located
from lookalike.core.vectors import FloatArray, check_embeddings
from lookalike.models.base import BatchModel, Model
from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.decoder import Decoder, OutOfReach

SOUND, DAMAGED, OUT_OF_REACH, NOT_EMBEDDED, FATAL = range(5)
"""Outcomes of a file; FATAL ends the run: the worker is at fault, and others would be, too."""

PLAIN_BATCH = 16


class DecodeOptions(NamedTuple):
    """How to decode; preprocessing: the model's. time_limit: for one file, in seconds."""

    preprocessing: Preprocessing | None
    time_limit: float


class ModelOptions(NamedTuple):
    """Which model to load; version: lookalike's, of the driver. batch_size: None for the best."""

    id: str
    dim: int
    version: str
    batch_size: int | None


_decoders: dict[bool, tuple[DecodeOptions, Decoder]] = {}


def decode(table: Any, options: DecodeOptions) -> Any:
    """Decode the files of a table (number, path).

    Returns (number, size, mtime_ns, height, width, pixels, outcome, reason), a row a file.
    """
    decoder = _decoder(options)
    rows = []
    for number, path in zip(table["number"].to_pylist(), table["path"].to_pylist(), strict=True):
        row = {"number": number, "size": 0, "mtime_ns": 0, "height": 0, "width": 0}
        try:
            decoded = decoder.decode(located(path))
        except LookalikeError as error:
            rows.append({**row, "pixels": b"", "outcome": _kind(error), "reason": str(error)})
            continue
        height, width, _ = decoded.pixels.shape
        row |= {"size": decoded.size, "mtime_ns": decoded.mtime_ns}
        row |= {"height": height, "width": width}
        rows.append({**row, "pixels": decoded.pixels.data, "outcome": SOUND, "reason": ""})
    return _table(rows, "pixels", ("height", "width"))


def _decoder(options: DecodeOptions) -> Decoder:
    """Return this process's decoder: its child process is kept from task to task."""
    kept = _decoders.get(True)
    if kept is not None and kept[0] == options:
        return kept[1]
    if kept is not None:
        kept[1].close()
    decoder = Decoder(lambda: options.preprocessing, time_limit=options.time_limit)
    _decoders[True] = options, decoder
    return decoder


def _kind(error: LookalikeError) -> int:
    if isinstance(error, OutOfReach):
        return OUT_OF_REACH
    return DAMAGED if isinstance(error, ImageError) else FATAL


class EmbeddingActor:
    """Holds a model, loaded by its id with the first files, and embeds decoded files."""

    def __init__(self, options: ModelOptions) -> None:
        self._options = options
        self._loaded: Model | None = None

    def __call__(self, table: Any) -> Any:
        """Embed what `decode` returns.

        Returns (number, size, mtime_ns, embedding, outcome, reason), a row a file.
        """
        names = ("number", "size", "mtime_ns", "outcome", "reason")
        columns = {name: table[name].to_pylist() for name in names}
        rows: list[dict[str, Any]] = [
            dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)
        ]
        sound = [place for place, row in enumerate(rows) if row["outcome"] == SOUND]
        try:
            results = self._embed(table, sound)
        except LookalikeError as error:
            reason = f"a worker on {platform.node()}: {error}"
            results = [(b"", FATAL, reason)] * len(sound)
        embedded = dict(zip(sound, results, strict=True))
        for place, row in enumerate(rows):
            known = (b"", row["outcome"], row["reason"])
            row["embedding"], row["outcome"], row["reason"] = embedded.get(place, known)
        return _table(rows, "embedding")

    def _embed(self, table: Any, places: Sequence[int]) -> list[tuple[bytes, int, str]]:
        if not places:
            return []
        model = self._model()
        pixels = [_pixels(table, place) for place in places]
        best = model.batch_size if isinstance(model, BatchModel) else PLAIN_BATCH
        size = self._options.batch_size or best
        results = []
        for start in range(0, len(pixels), size):
            results += _embed(model, pixels[start : start + size])
        return results

    def _model(self) -> Model:
        if self._loaded is None:
            import lookalike
            from lookalike.models.registry import load_model

            options = self._options
            if lookalike.__version__ != options.version:
                raise LookalikeError(
                    f"it has lookalike {lookalike.__version__}, not {options.version}: install the "
                    "same version on every node"
                )
            threads.limit_cores(1)  # the other cores belong to other workers
            model = load_model(options.id)
            if (model.id, model.dim) != (options.id, options.dim):
                raise LookalikeError(f"it loads another model for {options.id}: {model.id}")
            self._loaded = model
        return self._loaded


def _embed(model: Model, pixels: Sequence[npt.NDArray[np.uint8]]) -> list[tuple[bytes, int, str]]:
    """Return (embedding, outcome, reason) of images that are embedded together."""
    results = []
    embeddings = _run(model, pixels)
    if len(embeddings) != len(pixels):
        raise EmbeddingError(
            f"the model gives {len(embeddings)} embeddings of {len(pixels)} images"
        )
    for embedding in embeddings:
        try:
            results.append((check_embeddings(embedding, model.dim)[0].tobytes(), SOUND, ""))
        except EmbeddingError as error:
            results.append((b"", NOT_EMBEDDED, f"the model cannot embed it: {error}"))
    return results


def _run(model: Model, pixels: Sequence[npt.NDArray[np.uint8]]) -> FloatArray:
    if isinstance(model, BatchModel):
        return model.embed_batch(np.stack(pixels))
    from PIL import Image

    return model.embed_images([Image.fromarray(each) for each in pixels])


def _pixels(table: Any, place: int) -> npt.NDArray[np.uint8]:
    height, width = table["height"][place].as_py(), table["width"][place].as_py()
    flat = np.frombuffer(table["pixels"][place].as_buffer(), np.uint8)
    return flat.reshape(height, width, 3)


def _table(rows: Sequence[dict[str, Any]], content: str, numbers: Sequence[str] = ()) -> Any:
    import pyarrow

    integers = ("number", "size", "mtime_ns", "outcome", *numbers)
    fields = [(name, pyarrow.int64()) for name in integers]
    fields += [("reason", pyarrow.string()), (content, pyarrow.large_binary())]
    return pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(fields))
