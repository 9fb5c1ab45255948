"""The interface of embedding models: images and text in, vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL import Image

    from lookalike.models.preprocessing import Preprocessing

FloatArray = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


class Model(Protocol):
    """Embeds images, and text if the model supports it, into one space.

    Attributes:
        id: Stored with a collection; `load_model(id)` loads the same model again.
        dim: Length of an embedding.
        has_text: Whether `embed_texts` works.
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

        Raises:
            ModelError: The model does not support text.
        """
        ...


@runtime_checkable
class BatchModel(Model, Protocol):
    """A model whose images are preprocessed in other processes while it embeds.

    preprocessing: turns an image into the network's input, without the network.
    batch_size: the fastest batch size on this machine.
    precision: the number type it computes in, such as "float32" or "bfloat16".
    """

    @property
    def preprocessing(self) -> Preprocessing: ...

    @property
    def batch_size(self) -> int: ...

    @property
    def precision(self) -> str: ...

    def embed_batch(self, pixels: Pixels) -> FloatArray:
        """Embed preprocessed images, (n, height, width, 3) uint8, into (n, dim) float32.

        Several threads may call this at once, so that one batch uses cores that another leaves
        idle.
        """
        ...


@runtime_checkable
class NamingModel(Model, Protocol):
    """A model that can estimate how much of an image shows the thing that a text names."""

    def shares(self, text: str, embeddings: FloatArray) -> FloatArray:
        """Return how much of each image shows what the text names, from 0 to 1, shape (n,).

        embeddings: of images, by this model, (n, dim) float32. Raises ModelError for an unknown
            word.
        """
        ...
