"""CLIP models through sentence-transformers: images and text in one space."""

import contextlib
import importlib
import os
import pickle
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.errors import InputError, ModelError
from lookalike.models.base import FloatArray

BATCH_SIZE: Final = 32
REACH_TIMEOUT: Final = 4.0  # seconds
LONGEST_SIDES: Final = 16  # an image longer than this many times its short side is cropped

# models of text only, whose images are embedded by another model of the same space
IMAGE_PARTNERS: Final = {"clip-ViT-B-32-multilingual-v1": "clip-ViT-B-32"}

Notify = Callable[[str], None]
Encoder = Any  # sentence_transformers.SentenceTransformer, which must not be imported early


class SentenceTransformersModel:
    """A Model over SentenceTransformer: its embeddings are those of `encode`, not normalised.

    images: embeds images.
    texts: embeds texts into the same space; the same object as `images` for a plain CLIP.
    """

    def __init__(self, *, id: str, images: Encoder, texts: Encoder) -> None:
        if not images.supports("image"):
            raise ModelError(f"the model {id} embeds no images: use one that does, such as CLIP")
        self._id = id
        self._images = images
        self._texts = texts
        self._dim = int(self.embed_images([Image.new("RGB", (32, 32))]).shape[1])

    @property
    def id(self) -> str:
        return self._id

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def has_text(self) -> bool:
        return bool(self._texts.supports("text"))

    def embed_images(self, images: Sequence[Image.Image]) -> FloatArray:
        """Embed RGB images into an array of shape (n, dim), float32, in their order.

        Raises InputError when an image is not RGB.
        """
        for image in images:
            if image.mode != "RGB":
                raise InputError(f"an image of mode {image.mode!r} cannot be embedded: make it RGB")
        return self._encode(self._images, [_shorten(image) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts into an array of shape (n, dim), float32, in their order.

        A text longer than the model reads (77 tokens for CLIP) is cut. Raises ModelError when the
        model has no text.
        """
        if not self.has_text:
            raise ModelError(f"the model {self._id} has no text: use a CLIP model that has")
        return self._encode(self._texts, list(texts))

    def _encode(self, encoder: Encoder, inputs: list[Any]) -> FloatArray:
        if not inputs:
            return np.empty((0, self._dim), np.float32)
        embeddings = encoder.encode(
            inputs, batch_size=BATCH_SIZE, show_progress_bar=False, convert_to_numpy=True
        )
        return np.asarray(embeddings, dtype=np.float32)


def load_folder(folder: Path) -> SentenceTransformersModel:
    """Load a model that SentenceTransformer.save() wrote; its id is the folder."""
    try:
        encoder = _load(str(folder), local_files_only=True)
    except _load_errors() as error:
        raise ModelError(f"{folder} holds no model that can be loaded: {_line(error)}") from error
    return SentenceTransformersModel(id=str(folder), images=encoder, texts=encoder)


def load_by_name(name: str, *, notify: Notify) -> SentenceTransformersModel:
    """Load a model of the Hugging Face Hub, from the local cache where it is there.

    A model that is in the cache is loaded without a request. Raises ModelError within a few
    seconds when it is not and the Hub is out of reach.
    """
    texts = _load_encoder(name, notify)
    partner = IMAGE_PARTNERS.get(name)
    images = _load_encoder(partner, notify) if partner else texts
    return SentenceTransformersModel(id=name, images=images, texts=texts)


def _load_encoder(name: str, notify: Notify) -> Encoder:
    repository = name if "/" in name else f"sentence-transformers/{name}"
    lacking = "not on this machine"
    if _is_cached(repository):
        try:
            return _load(repository, local_files_only=True)
        except _load_errors() as error:  # a download that was cut short leaves some of the files
            lacking = f"on this machine but incomplete or damaged ({_line(error)})"
    if not _hub_answers():
        raise ModelError(
            f"the weights of {name} are {lacking} and the Hugging Face Hub is out of reach: "
            "connect once to fetch them, or use the model efficientnet-lite2"
        )
    notify(f"fetching the weights of {name} from the Hugging Face Hub, once")
    try:
        return _load(repository, local_files_only=False)
    except _load_errors() as error:
        raise ModelError(f"cannot load {name} from the Hugging Face Hub: {_line(error)}") from error


def _load(name: str, *, local_files_only: bool) -> Encoder:
    from sentence_transformers import SentenceTransformer

    # without local_files_only every file is asked for anew at each start
    with _no_progress_bars() if local_files_only else contextlib.nullcontext():
        return SentenceTransformer(name, local_files_only=local_files_only)


def _load_errors() -> tuple[type[Exception], ...]:
    """What loading damaged, foreign or missing files raises in the libraries below."""
    from huggingface_hub.errors import HTTPError

    safetensors = importlib.import_module("safetensors")
    return (
        AttributeError,
        HTTPError,
        ImportError,
        LookupError,
        OSError,
        RuntimeError,
        safetensors.SafetensorError,
        TypeError,
        ValueError,
        pickle.UnpicklingError,
    )


def _is_cached(repository: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    folder = os.environ.get("SENTENCE_TRANSFORMERS_HOME")
    return isinstance(try_to_load_from_cache(repository, "modules.json", cache_dir=folder), str)


def _hub_answers() -> bool:
    """Ask the Hub for anything, once: its own client would try for more than a minute."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    answered = threading.Event()

    def ask() -> None:
        request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=REACH_TIMEOUT):
                answered.set()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                answered.set()
        except (OSError, ValueError):
            return

    # looking up a host name heeds no timeout, so it is left behind in its thread
    thread = threading.Thread(target=ask, name="lookalike-hub", daemon=True)
    thread.start()
    thread.join(REACH_TIMEOUT)
    return answered.is_set()


@contextlib.contextmanager
def _no_progress_bars() -> Iterator[None]:
    logging = importlib.import_module("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _shorten(image: Image.Image) -> Image.Image:
    """Cut the ends off a very long image, of which CLIP sees only the central square.

    CLIP resizes the whole image first: 1 x 5000 pixels would become 224 x 1,120,000.
    """
    short = min(image.size)
    box = [0, 0, *image.size]
    for axis, length in enumerate(image.size):
        excess = length - short * LONGEST_SIDES
        if excess > 0:
            box[axis] += excess // 2
            box[axis + 2] -= excess // 2
    left, top, right, bottom = box
    return image.crop((left, top, right, bottom)) if box[2:] != [*image.size] else image


def _line(error: BaseException) -> str:
    """The first line of an error's message, or its kind where it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
