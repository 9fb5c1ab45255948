"""What an embedding model is: pixels and text in, vectors out."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.models.preprocessing import Preprocessing

FloatArray = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Model(Protocol):
    """Embeds images, and text where the model has text, into one space.

    id: what a collection remembers; `load_model(id)` loads the same model again.
    dim: the length of an embedding.
    has_text: whether `embed_texts` works.
    """

    @property
    def id(self) -> str: ...

    @property
    def dim(self) -> int: ...

    @property
    def has_text(self) -> bool: ...

    def embed_images(self, images: Sequence[Image.Image]) -> FloatArray:
        """Embed RGB images into an array of shape (n, dim), float32, in their order."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts into an array of shape (n, dim), float32, in their order.

        Raises ModelError when the model has no text.
        """
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model whose images are preprocessed by other processes while it embeds.

    preprocessing: turns an image into the network's input, without the network.
    batch_size: how many images it embeds quickest at once, on this machine.
    precision: what it computes in, as "float32" or "bfloat16".
    """

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def precision(self) -> str: ...

    def embed_batch(self, pixels: Pixels) -> FloatArray:
        """Embed preprocessed images, (n, height, width, 3) uint8, into (n, dim) float32.

        Called by several threads at once: where one batch leaves workers idle, another has work.
        """
        ...


@runtime_checkable
class NamingModel(Model, Protocol):
    """A model that tells how much of what an image shows is what words name."""

    def shares(self, text: str, embeddings: FloatArray) -> FloatArray:
        """Return the share of a text's things in each image, from 0 to 1, shape (n,).

        embeddings: of images, by this model, (n, dim) float32. Raises ModelError for an unknown
        word.
        """
        ...
