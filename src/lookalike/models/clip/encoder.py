"""Models based on SentenceTransformer, with the fastest preprocessing that gives equal results."""

import threading
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.core.errors import InputError, ModelError
from lookalike.models.base import FloatArray, Pixels
from lookalike.models.clip.precision import (
    FEWEST_IMAGES,
    FLOAT32,
    choose_precision,
    chosen_precision,
)
from lookalike.models.clip.tower import Encoder, ImageTower, Normalisation
from lookalike.models.preprocessing import Preprocessing, shorten

BATCH_SIZE: Final = 32

# Of a pixel's 255 levels: torchvision's resize sometimes differs by one from Pillow's.
MOST_DIFFERENCE: Final = 1.5
MEAN_DIFFERENCE: Final = 0.05
MOST_ERROR: Final = 0.01  # of a test image's embedding, relative to its length


class EncoderModel:
    """A Model based on SentenceTransformer: its embeddings are those of `encode`, not normalised.

    images: embeds images.
    texts: embeds texts into the same space; the same object as `images` for a plain CLIP.
    """

    def __init__(self, *, id: str, images: Encoder, texts: Encoder) -> None:
        if not images.supports("image"):
            raise ModelError(
                f"the model {id} cannot embed images; use one that can, such as clip-ViT-B-32"
            )
        self._id = id
        self._images = images
        self._texts = texts
        self._dim = int(_encode(images, [Image.new("RGB", (32, 32))]).shape[1])

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
                raise InputError(
                    f"an image of mode {image.mode!r} cannot be embedded; convert it to RGB"
                )
        if not images:
            return np.empty((0, self._dim), np.float32)
        return _encode(self._images, [shorten(image) for image in images])

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts into an array of shape (n, dim), float32, in their order.

        Longer texts than the model reads (77 tokens for CLIP) are truncated. Raises ModelError if
        the model does not support text.
        """
        if not self.has_text:
            raise ModelError(
                f"the model {self._id} cannot embed text; use a CLIP model that can, such as "
                "clip-ViT-B-32"
            )
        if not texts:
            return np.empty((0, self._dim), np.float32)
        return _encode(self._texts, list(texts))


class BatchEncoderModel(EncoderModel):
    """A BatchModel based on SentenceTransformer; `preprocessing` replaces its image processor.

    It embeds in float32 until a precision is chosen for this machine, on the first batch that is
    large enough: see `lookalike.models.clip.precision`.
    """

    def __init__(
        self,
        *,
        id: str,
        images: Encoder,
        texts: Encoder,
        preprocessing: Preprocessing,
        tower: ImageTower,
    ) -> None:
        super().__init__(id=id, images=images, texts=texts)
        self._preprocessing = preprocessing
        self._tower = tower
        self._choosing = threading.Lock()
        chosen = chosen_precision(id, device=tower.device)
        self._is_chosen = chosen is not None
        self._precision = chosen.name if chosen else FLOAT32
        self._store_weights()

    @property
    def preprocessing(self) -> Preprocessing:
        return self._preprocessing

    @property
    def batch_size(self) -> int:
        return self._tower.batch_size

    @property
    def precision(self) -> str:
        return self._precision

    def embed_batch(self, pixels: Pixels) -> FloatArray:
        """Embed preprocessed images: (n, height, width, 3) uint8 to (n, dim) float32, at once."""
        if not len(pixels):
            return np.empty((0, self._dim), np.float32)
        if not self._is_chosen:
            with self._choosing:  # choosing changes the weights, so wait for it
                if not self._is_chosen and len(pixels) >= FEWEST_IMAGES:
                    self._choose(pixels)
                return self._tower.embed(pixels, precision=self._precision)
        return self._tower.embed(pixels, precision=self._precision)

    def embed_images(self, images: Sequence[Image.Image]) -> FloatArray:
        """Embed RGB images into an array of shape (n, dim), float32, in their order.

        Raises InputError when an image is not RGB.
        """
        embeddings = np.empty((len(images), self._dim), np.float32)
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            pixels = np.stack([self._preprocessing(image) for image in batch])
            embeddings[start : start + len(batch)] = self.embed_batch(pixels)
        return embeddings

    def _choose(self, pixels: Pixels) -> None:
        tower = self._tower
        sample = pixels[: max(FEWEST_IMAGES, self.batch_size // 2)]
        chosen = choose_precision(self._id, tower.device, sample, tower.embed, tower.candidates)
        self._precision = chosen.name
        self._store_weights()
        self._is_chosen = True

    def _store_weights(self) -> None:
        side = self._preprocessing.crop
        image = np.zeros((1, side, side, 3), np.uint8)
        others = ["a"] if self.has_text and self._texts is self._images else []
        self._tower.store_weights(self._precision, image, lambda: self.embed_texts(others))


def make_model(*, id: str, images: Encoder, texts: Encoder) -> EncoderModel:
    """Return the fastest model that equals `encode`.

    Raises ModelError if it cannot embed images.
    """
    plain = EncoderModel(id=id, images=images, texts=texts)
    found = describe(getattr(images[0], "processor", None))
    if found is None:
        return plain
    preprocessing, normalisation = found
    made = _made_images(preprocessing.short_side)
    pixels = np.stack([preprocessing(image) for image in made])
    if not _is_input(images.preprocess(made), pixels, normalisation):
        return plain
    tower = ImageTower(images, normalisation)
    if not _agree(tower.embed(pixels), plain.embed_images(made)):
        return plain
    return BatchEncoderModel(
        id=id, images=images, texts=texts, preprocessing=preprocessing, tower=tower
    )


def describe(processor: Any) -> tuple[Preprocessing, Normalisation] | None:
    """Return what a transformers processor does to images; None if it differs from CLIP's."""
    images = getattr(processor, "image_processor", processor)
    try:
        size, crop = dict(images.size), dict(images.crop_size)
        if not (images.do_resize and images.do_center_crop and size.keys() == {"shortest_edge"}):
            return None
        short_side, side = int(size["shortest_edge"]), int(crop["height"])
        if crop["width"] != side or side > short_side:
            return None
        preprocessing = Preprocessing(short_side, side, True, Image.Resampling(images.resample))
        factor = images.rescale_factor if images.do_rescale else 1.0
        means = images.image_mean if images.do_normalize else (0.0, 0.0, 0.0)
        deviations = images.image_std if images.do_normalize else (1.0, 1.0, 1.0)
        red, green, blue = (factor / deviation for deviation in deviations)
        r, g, b = (-mean / deviation for mean, deviation in zip(means, deviations, strict=True))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    return preprocessing, Normalisation((red, green, blue), (r, g, b))


def _made_images(short_side: int) -> list[Image.Image]:
    """Return two noise images, where every pixel matters, of sizes that need rounding."""
    rng = np.random.default_rng(0)
    sizes = ((2 * short_side + 11, short_side + 5), (short_side // 2, short_side - 3))
    return [
        Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in sizes
    ]


def _is_input(features: Any, pixels: Pixels, normalisation: Normalisation) -> bool:
    """Whether the network's input is only the normalised pixels; features: its input."""
    if set(features) != {"pixel_values", "modality"} or features["modality"] != "image":
        return False
    expected = features["pixel_values"].float().numpy()
    scale, offset = np.array(normalisation.scale), np.array(normalisation.offset)
    ours = (pixels * scale + offset).transpose(0, 3, 1, 2)
    if ours.shape != expected.shape:
        return False
    levels = np.abs(ours - expected) / np.abs(scale)[:, None, None]
    return bool(levels.max() <= MOST_DIFFERENCE and levels.mean() <= MEAN_DIFFERENCE)


def _agree(embeddings: FloatArray, expected: FloatArray) -> bool:
    if embeddings.shape != expected.shape:
        return False
    error = np.linalg.norm(embeddings - expected, axis=1)
    return bool((error <= MOST_ERROR * np.linalg.norm(expected, axis=1)).all())


def _encode(encoder: Encoder, inputs: list[Any]) -> FloatArray:
    embeddings = encoder.encode(
        inputs, batch_size=BATCH_SIZE, show_progress_bar=False, convert_to_numpy=True
    )
    return np.asarray(embeddings, dtype=np.float32)
