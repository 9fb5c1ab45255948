"""Load embedding models by name; importing this module loads none."""

import importlib.util
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lookalike.core.arguments import check_text
from lookalike.core.errors import MissingExtra, ModelError
from lookalike.models.base import Model
from lookalike.models.clip.precision import chosen_precision

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


def load_model(
    name: str = AUTO, *, device: str | None = None, notify: Notify = _log.warning
) -> Model:
    """Load a model by name or from a folder.

    Args:
        name: "auto", "efficientnet-lite2", a CLIP model of sentence-transformers such as
            "clip-ViT-B-32", "owner/name" on the Hugging Face Hub, or a folder written by
            SentenceTransformer.save(). "auto" is CLIP if the extra is installed and the weights are
            local or can be downloaded, otherwise the embedded model.
        device: Where torch computes, such as "cpu" or "cuda"; None for the best available. The
            embedded model supports only the CPU.
        notify: Called with one line about a long download, or about which model "auto" fell back to
            and why.

    Raises:
        MissingExtra: The model needs `lookalike[clip]`.
        ModelError: There is no such model or device, or the weights are unavailable.
    """
    check_text("the name of a model", name)
    if name == AUTO:
        return _load_auto(device, notify)
    if name == EMBEDDED:
        return _load_embedded(device)
    short = name.removeprefix(_HUB_ORGANISATION)
    folder = None if short in KNOWN_MODELS else _find_folder(name)
    if folder is not None:
        return _load_folder(folder, device)
    if not _HUB_NAME.fullmatch(name):
        raise ModelError(
            f"unknown model {name!r}: choose {AUTO}, {', '.join(KNOWN_MODELS)}, owner/name on "
            "the Hugging Face Hub, or a folder written by SentenceTransformer.save()"
        )
    return _load_clip(short, device, notify)


def precision_of(model_id: str) -> str:
    """Return a model's number type on this machine; every value begins with float32."""
    if model_id == EMBEDDED:
        return "float32"
    chosen = chosen_precision(model_id)
    return str(chosen) if chosen else "float32"


def _find_folder(name: str) -> Path | None:
    """Return the path that a name means, whether it exists or not; None if it means no path."""
    try:
        path = Path(name).expanduser()
        there = name != "" and path.exists()
    except (OSError, RuntimeError):  # the name is too long, or there is no such user
        return None
    return path if there or name.startswith((".", "~")) or path.is_absolute() else None


def _load_embedded(device: str | None) -> Model:
    if device not in (None, "cpu"):
        raise ModelError(
            f"the model {EMBEDDED} runs on the CPU only, not on {device!r}: leave the device out, "
            f"or use a CLIP model such as {CLIP}"
        )
    from lookalike.models.efficientnet.model import EfficientNetLite2

    return EfficientNetLite2()


def _load_folder(folder: Path, device: str | None) -> Model:
    if not folder.joinpath("modules.json").is_file():
        raise ModelError(
            f"{folder} is not a model; give a folder written by SentenceTransformer.save()"
        )
    _require_clip(str(folder))
    from lookalike.models.clip.load import load_folder

    return load_folder(folder.resolve(), device=device)


def _load_clip(name: str, device: str | None, notify: Notify) -> Model:
    _require_clip(name)
    from lookalike.models.clip.load import load_by_name

    return load_by_name(name, device=device, notify=notify)


def _load_auto(device: str | None, notify: Notify) -> Model:
    try:
        return _load_clip(CLIP, device, notify)
    except ModelError as error:
        notify(f"using the embedded model {EMBEDDED}, because {error}")
        return _load_embedded(device)


def _require_clip(name: str) -> None:
    if not all(importlib.util.find_spec(module) for module in ("sentence_transformers", "torch")):
        raise MissingExtra("clip", f"the model {name}")
