"""What an embedding model is: pixels and text in, vectors out."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image

FloatArray = npt.NDArray[np.float32]


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
