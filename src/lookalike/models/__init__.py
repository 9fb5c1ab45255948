"""Embedding models by name; importing this loads none of them."""

import importlib.util
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lookalike.errors import MissingExtra, ModelError
from lookalike.models.base import BatchModel, FloatArray, Model
from lookalike.models.preprocessing import Preprocessing

__all__ = ["KNOWN_MODELS", "BatchModel", "FloatArray", "Model", "Preprocessing", "load_model"]

AUTO: Final = "auto"
EMBEDDED: Final = "efficientnet-lite2"
CLIP: Final = "clip-ViT-B-32"
KNOWN_MODELS: Final = (
    EMBEDDED,
    CLIP,
    "clip-ViT-B-16",
    "clip-ViT-L-14",
    "clip-ViT-B-32-multilingual-v1",
)

_HUB_ORGANISATION: Final = "sentence-transformers/"
_HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+|clip-[\w.-]+")

Notify = Callable[[str], None]
_log: Final = logging.getLogger("lookalike.models")


def load_model(name: str = AUTO, *, notify: Notify = _log.warning) -> Model:
    """Load a model by its name, by the folder it was saved to, or the best one within reach.

    name: "auto", "efficientnet-lite2", a CLIP model of sentence-transformers such as
        "clip-ViT-B-32", "owner/name" on the Hugging Face Hub, or a folder that
        SentenceTransformer.save() wrote. "auto" is CLIP where the extra is installed and the
        weights are on this machine or can be fetched, and the embedded model otherwise.
    notify: told in one line of a long download, and of which model "auto" fell back to and why.

    Raises MissingExtra when the model needs `lookalike[clip]`, and ModelError when there is no
    such model or its weights are out of reach.
    """
    if name == AUTO:
        return _load_auto(notify)
    if name == EMBEDDED:
        return _load_embedded()
    short = name.removeprefix(_HUB_ORGANISATION)
    folder = None if short in KNOWN_MODELS else _find_folder(name)
    if folder is not None:
        return _load_folder(folder)
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(
            f"there is no model {name!r}: choose {AUTO}, {', '.join(KNOWN_MODELS)}, owner/name on "
            "the Hugging Face Hub, or a folder that SentenceTransformer.save() wrote"
        )
    return _load_clip(short, notify)


def _find_folder(name: str) -> Path | None:
    """The path that a name means, where it means one, be there something or not."""
    try:
        path = Path(name).expanduser()
        there = name != "" and path.exists()
    except (OSError, RuntimeError):  # too long a name, or no such user
        return None
    return path if there or name.startswith((".", "~")) or path.is_absolute() else None


def _load_embedded() -> Model:
    from lookalike.models.efficientnet import EfficientNetLite2

    return EfficientNetLite2()


def _load_folder(folder: Path) -> Model:
    if not folder.joinpath("modules.json").is_file():
        raise ModelError(
            f"{folder} is not a model: give a folder that SentenceTransformer.save() wrote"
        )
    _require_clip(str(folder))
    from lookalike.models.sentence_transformers import load_folder

    return load_folder(folder.resolve())


def _load_clip(name: str, notify: Notify) -> Model:
    _require_clip(name)
    from lookalike.models.sentence_transformers import load_by_name

    return load_by_name(name, notify=notify)


def _load_auto(notify: Notify) -> Model:
    try:
        return _load_clip(CLIP, notify)
    except ModelError as error:
        notify(f"using the embedded model {EMBEDDED}, because {error}")
        return _load_embedded()


def _require_clip(name: str) -> None:
    if not all(importlib.util.find_spec(module) for module in ("sentence_transformers", "torch")):
        raise MissingExtra("clip", f"the model {name}")
