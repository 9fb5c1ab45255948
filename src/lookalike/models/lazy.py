"""A model that is loaded on first use, once, whichever thread asks for it."""

import threading
from collections.abc import Callable

from lookalike.models.base import Model


class LazyModel:
    """Holds a model, or the way to load it.

    Args:
        load: Called at most once; it may take seconds, or download weights.
        model: The model where it is there already.
    """

    def __init__(self, load: Callable[[], Model], model: Model | None = None) -> None:
        self._load = load
        self._model = model
        self._lock = threading.Lock()

    def get(self) -> Model:
        """Return the model, loaded if it was not yet. Raises what loading raises."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    @property
    def loaded(self) -> Model | None:
        """The model if it is loaded already."""
        return self._model

    @classmethod
    def of(cls, model: Model) -> "LazyModel":
        """Wrap a model that is loaded."""
        return cls(lambda: model, model)
