"""A model that is loaded on first use, once, by whichever thread needs it."""

import threading
from collections.abc import Callable

from lookalike.models.base import Model


class LazyModel:
    """A model, or a function that loads it.

    Args:
        load: Called at most once; it may take seconds, or download weights.
        model: The model, if already loaded.
    """

    def __init__(self, load: Callable[[], Model], model: Model | None = None) -> None:
        self._load = load
        self._model = model
        self._lock = threading.Lock()

    def get(self) -> Model:
        """Return the model, loading it if necessary. Raises what loading raises."""
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    @property
    def loaded(self) -> Model | None:
        """Return the model if it is already loaded."""
        return self._model

    @classmethod
    def of(cls, model: Model) -> "LazyModel":
        """Wrap a loaded model."""
        return cls(lambda: model, model)
