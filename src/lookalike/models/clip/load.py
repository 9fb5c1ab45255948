"""Load CLIP models of sentence-transformers from a folder or the Hugging Face Hub."""

import contextlib
import importlib
import os
import pickle
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from lookalike.core.errors import ModelError
from lookalike.models.clip.devices import check_device
from lookalike.models.clip.encoder import EncoderModel, make_model
from lookalike.models.clip.foreign_code import refuse_foreign_code
from lookalike.models.clip.tower import Encoder

REACH_TIMEOUT: Final = 4.0  # seconds

# Models that embed only text; the other model embeds images into the same space.
IMAGE_PARTNERS: Final = {"clip-ViT-B-32-multilingual-v1": "clip-ViT-B-32"}

Notify = Callable[[str], None]


def load_folder(folder: Path, *, device: str | None) -> EncoderModel:
    """Load a model that SentenceTransformer.save() wrote; its id is the folder."""
    if device is not None:
        check_device(device)
    try:
        refuse_foreign_code(folder)
        encoder = _load(str(folder), device, local_files_only=True)
    except _load_errors() as error:
        raise ModelError(f"cannot load a model from {folder}: {_line(error)}") from error
    return make_model(id=str(folder), images=encoder, texts=encoder)


def load_by_name(name: str, *, device: str | None, notify: Notify) -> EncoderModel:
    """Load a model of the Hugging Face Hub, from the local cache if it is there.

    A cached model needs no request. Raises ModelError within a few seconds if it is not cached and
    the Hub cannot be reached.
    """
    if device is not None:
        check_device(device)
    texts = _load_encoder(name, device, notify)
    partner = IMAGE_PARTNERS.get(name)
    images = _load_encoder(partner, device, notify) if partner else texts
    return make_model(id=name, images=images, texts=texts)


def _load_encoder(name: str, device: str | None, notify: Notify) -> Encoder:
    repository = name if "/" in name else f"sentence-transformers/{name}"
    lacking = "not on this machine"
    if _is_cached(repository):
        try:
            return _load_repository(repository, device, local_files_only=True)
        except _load_errors() as error:  # an interrupted download leaves some of the files
            lacking = f"on this machine but incomplete or damaged ({_line(error)})"
    if not _hub_answers():
        raise ModelError(
            f"the weights of {name} are {lacking}, and the Hugging Face Hub cannot be reached: "
            "connect once to download them, or use the model efficientnet-lite2"
        )
    notify(f"downloading the weights of {name} from the Hugging Face Hub (once)")
    try:
        return _load_repository(repository, device, local_files_only=False)
    except _load_errors() as error:
        raise ModelError(f"cannot load {name} from the Hugging Face Hub: {_line(error)}") from error


def _load_repository(repository: str, device: str | None, *, local_files_only: bool) -> Encoder:
    """Load a model of the Hub after checking that its configuration is harmless."""
    from huggingface_hub import snapshot_download

    snapshot = Path(
        snapshot_download(
            repository,
            allow_patterns=["*.json"],
            cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
            local_files_only=local_files_only,
        )
    )
    refuse_foreign_code(snapshot)
    # Exactly the version that was checked: the name alone could fetch a newer one.
    return _load(repository, device, local_files_only=local_files_only, revision=snapshot.name)


def _load(
    name: str, device: str | None, *, local_files_only: bool, revision: str | None = None
) -> Encoder:
    from sentence_transformers import SentenceTransformer

    # Without local_files_only, every start would request every file.
    with _no_progress_bars() if local_files_only else contextlib.nullcontext():
        return SentenceTransformer(
            name,
            device=device,
            local_files_only=local_files_only,
            revision=revision,
            trust_remote_code=False,
        )


def _load_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions that the libraries raise for damaged, foreign or missing files."""
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
    """Whether the Hub answers one request; its own client would retry for over a minute."""
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

    # DNS lookups ignore timeouts, so a lookup that hangs is left behind in its thread.
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


def _line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if there is none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
