"""CLIP through sentence-transformers, with a tiny CLIP of random weights made here.

These need the clip extra and fail without it. Nothing is fetched: the Hub's cache is made by hand.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from transformers import CLIPModel, CLIPTokenizer

from lookalike.core.errors import InputError, ModelError
from lookalike.models.clip import load as subject
from lookalike.models.efficientnet.checkpoint import read_legacy_checkpoint
from lookalike.models.efficientnet.model import weights_path
from lookalike.models.registry import load_model

TEXTS = ["a cat", "two red bicycles", "a cat and a dog by the sea, and far too long for sixteen"]
DIM, PIXELS = 16, 32


def put_in_hub_cache(raw: Path, hub: Path, repository: str) -> Path:
    """Lay the model out as the Hub's real clip-ViT-B-32 is: the format of 2021, a .bin file."""
    revision = "0123456789abcdef" * 2 + "01234567"
    root = hub / f"models--{repository.replace('/', '--')}"
    folder = root / "snapshots" / revision
    clip = folder / "0_CLIPModel"
    clip.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(revision)
    module = {"idx": 0, "name": "0", "path": clip.name}
    module["type"] = "sentence_transformers.models.CLIPModel"
    (folder / "modules.json").write_text(json.dumps([module]))
    for name in ("config.json", "vocab.json", "merges.txt"):
        shutil.copy(raw / name, clip)
    torch.save(load_file(raw / "model.safetensors"), clip / "pytorch_model.bin")
    processor = json.loads((raw / "processor_config.json").read_text())["image_processor"]
    old = {key: processor[key] for key in ("do_normalize", "do_resize", "image_mean", "image_std")}
    old |= {"feature_extractor_type": "CLIPFeatureExtractor", "resample": 3}
    old |= {"do_center_crop": True, "crop_size": PIXELS, "size": PIXELS}
    (clip / "preprocessor_config.json").write_text(json.dumps(old))
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    special |= {"unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
    (clip / "special_tokens_map.json").write_text(json.dumps(special))
    (clip / "tokenizer_config.json").write_text(json.dumps({**special, "model_max_length": 16}))
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty Hub cache; no request can be made."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "hub"


def test_embeddings_are_those_of_encode(saved: Path, photos: list[Image.Image]) -> None:
    model, reference = load_model(str(saved)), SentenceTransformer(str(saved))
    images = model.embed_images(photos)
    assert (images.shape, images.dtype) == ((3, DIM), np.float32)
    np.testing.assert_allclose(images, reference.encode(photos), rtol=0, atol=1e-5)
    for photo, embedding in zip(photos, images, strict=True):
        np.testing.assert_allclose(embedding, reference.encode(photo), rtol=0, atol=1e-5)
    texts = model.embed_texts(TEXTS)
    assert (texts.shape, texts.dtype) == ((3, DIM), np.float32)
    np.testing.assert_allclose(texts, reference.encode(TEXTS), rtol=0, atol=1e-5)
    assert np.abs(images[0] - images[1]).max() > 1e-3
    assert np.abs(texts[0] - texts[1]).max() > 1e-3


def test_embeddings_are_those_of_transformers(raw: Path, saved: Path) -> None:
    clip = CLIPModel.from_pretrained(raw).eval()
    tokens = torch.tensor([CLIPTokenizer.from_pretrained(raw)("a cat")["input_ids"]])
    with torch.no_grad():
        pooled = clip.text_model(input_ids=tokens).pooler_output
        expected = clip.text_projection(pooled).numpy()
    np.testing.assert_allclose(
        load_model(str(saved)).embed_texts(["a cat"]), expected, rtol=0, atol=1e-5
    )


def test_a_saved_folder_is_known_by_its_absolute_path(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.parent)
    for name in (str(saved), "saved", "./saved", "../" + saved.parent.name + "/saved"):
        model = load_model(name)
        assert (model.id, model.dim, model.has_text) == (str(saved), DIM, True)
    assert load_model(model.id).id == model.id


def test_nothing_gives_no_rows(saved: Path) -> None:
    model = load_model(str(saved))
    assert model.embed_images([]).shape == model.embed_texts([]).shape == (0, DIM)


def test_long_images_are_cut_before_clip_resizes_them(saved: Path) -> None:
    model = load_model(str(saved))
    embeddings = model.embed_images(
        [Image.new("RGB", size, "red") for size in [(1, 50_000), (50_000, 1), (20, 20)]]
    )
    np.testing.assert_allclose(embeddings[:2], embeddings[[2, 2]], rtol=0, atol=1e-5)


def test_an_image_that_is_not_rgb_is_refused(saved: Path) -> None:
    with pytest.raises(InputError, match="an image of mode 'RGBA' cannot be embedded"):
        load_model(str(saved)).embed_images([Image.new("RGBA", (9, 9))])


@pytest.mark.parametrize("damage", ["config.json", "model.safetensors", "modules.json"])
def test_a_damaged_folder_is_refused(saved: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(saved, tmp_path / "damaged")
    raw = (folder / damage).read_bytes()
    (folder / damage).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ModelError, match="cannot load a model from .*damaged: ") as caught:
        load_model(str(folder))
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_weights_is_refused(saved: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(saved, tmp_path / "empty")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot load a model from .*empty: "):
        load_model(str(folder))


def test_a_model_of_text_alone_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bag"
    SentenceTransformer(modules=[modules.BoW(vocab=["cat", "dog"])]).save(str(folder))
    with pytest.raises(ModelError, match="cannot embed images; use one that can"):
        load_model(str(folder))


EVIL = """
from pathlib import Path
Path({ran!r}).touch()
from sentence_transformers.sentence_transformer.modules import Transformer
class Evil(Transformer):
    pass
"""


def plant(folder: Path, where: str, ran: Path) -> None:
    """Have a model's configuration name code that tells when it runs."""
    (folder / "evil.py").write_text(EVIL.format(ran=str(ran)))
    listed = json.loads((folder / "modules.json").read_text())
    inside = folder / listed[0]["path"]
    if where == "a file beside it":
        listed[0]["type"] = "evil.Evil"
    elif where == "an installed package":
        listed[0]["type"] = "evil_package.Evil"
    elif where == "a name that a module imports":
        listed[0]["type"] = "sentence_transformers.base.model.pickle"
    elif where == "a package of a similar name":
        listed[0]["type"] = "sentence_transformers_evil.Evil"
    elif where == "another folder":
        listed[0]["path"] = "../elsewhere"
    elif where == "a router":
        types = {"0": "evil.Evil"}
        (inside / "router_config.json").write_text(json.dumps({"types": types, "structure": {}}))
    else:
        config = json.loads((inside / "config.json").read_text())
        config |= {where: {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}}
        (inside / "config.json").write_text(json.dumps(config))
    (folder / "modules.json").write_text(json.dumps(listed))


PLACES = ["a file beside it", "an installed package", "a package of a similar name", "a router"]
PLACES += ["a name that a module imports", "another folder", "auto_map", "trust_remote_code"]


@pytest.mark.parametrize("where", PLACES)
def test_a_folder_that_brings_code_is_refused_before_it_runs(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    folder = shutil.copytree(saved, tmp_path / "evil")
    plant(folder, where, tmp_path / "ran")
    (tmp_path / "evil_package.py").write_text(EVIL.format(ran=str(tmp_path / "ran")))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"evil contains its own code .* never runs a mod"):
        load_model(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("where", ["a file beside it", "auto_map"])
def test_a_repository_that_brings_code_is_refused_before_it_runs(
    raw: Path, hub: Path, tmp_path: Path, where: str
) -> None:
    folder = put_in_hub_cache(raw, hub, "somebody/their-clip")
    plant(folder, where, tmp_path / "ran")
    with pytest.raises(ModelError, match="contains its own code"):
        load_model("somebody/their-clip")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["auto", "clip-ViT-B-32", "sentence-transformers/clip-ViT-B-32"])
def test_weights_in_the_local_cache_are_used_without_a_request(
    raw: Path, hub: Path, photos: list[Image.Image], name: str
) -> None:
    folder = put_in_hub_cache(raw, hub, "sentence-transformers/clip-ViT-B-32")
    said: list[str] = []
    model = load_model(name, notify=said.append)
    assert (model.id, model.dim, model.has_text, said) == ("clip-ViT-B-32", DIM, True, [])
    reference = SentenceTransformer(str(folder))
    np.testing.assert_allclose(
        model.embed_images(photos), reference.encode(photos), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(model.embed_texts(TEXTS), reference.encode(TEXTS), rtol=0, atol=1e-5)


def test_the_formats_of_2021_and_of_today_agree(
    raw: Path, saved: Path, hub: Path, photos: list[Image.Image]
) -> None:
    put_in_hub_cache(raw, hub, "sentence-transformers/clip-ViT-L-14")
    old, new = load_model("clip-ViT-L-14"), load_model(str(saved))
    assert old.id == "clip-ViT-L-14"
    np.testing.assert_allclose(
        old.embed_images(photos), new.embed_images(photos), rtol=0, atol=1e-5
    )
    np.testing.assert_allclose(old.embed_texts(TEXTS), new.embed_texts(TEXTS), rtol=0, atol=1e-5)


def test_a_model_of_another_owner_keeps_its_whole_name(raw: Path, hub: Path) -> None:
    put_in_hub_cache(raw, hub, "somebody/their-clip")
    assert load_model("somebody/their-clip").id == "somebody/their-clip"


def test_the_multilingual_model_takes_its_images_from_its_partner(
    raw: Path, hub: Path, photos: list[Image.Image]
) -> None:
    name = "clip-ViT-B-32-multilingual-v1"
    folder = put_in_hub_cache(raw, hub, f"sentence-transformers/{name}")
    shutil.rmtree(folder)
    bag = modules.BoW(vocab=[chr(code) for code in range(ord("a"), ord("a") + DIM)])
    SentenceTransformer(modules=[bag]).save(str(folder))
    put_in_hub_cache(raw, hub, "sentence-transformers/clip-ViT-B-32")
    model = load_model(f"sentence-transformers/{name}")
    partner = load_model("clip-ViT-B-32")
    assert (model.id, model.has_text) == (name, True)
    np.testing.assert_array_equal(model.embed_images(photos), partner.embed_images(photos))
    assert model.embed_texts(["a b"]).shape == (1, DIM)


def test_auto_offline_without_weights_is_the_embedded_model(hub: Path) -> None:
    said: list[str] = []
    load_model("efficientnet-lite2")  # which may have to be made first
    start = time.monotonic()
    assert load_model("auto", notify=said.append).id == "efficientnet-lite2"
    assert time.monotonic() - start < 30  # the hub's client alone would take a minute
    assert len(said) == 1
    assert said[0].startswith("using the embedded model efficientnet-lite2, because the weights")
    assert "\n" not in said[0]


@pytest.mark.usefixtures("hub")
def test_weights_out_of_reach_are_an_error_in_one_line() -> None:
    for name in ("clip-ViT-B-32", "somebody/their-clip"):
        with pytest.raises(ModelError, match=f"weights of {name} are not on this machine, and the"):
            load_model(name)


def test_a_cache_cut_short_is_told_apart(raw: Path, hub: Path) -> None:
    folder = put_in_hub_cache(raw, hub, "sentence-transformers/clip-ViT-B-32")
    (folder / "0_CLIPModel" / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match="clip-ViT-B-32 are on this machine but incomplete or"):
        load_model("clip-ViT-B-32")


@pytest.fixture
def silent_hub(hub: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Hub that accepts connections and never answers."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield hub


@pytest.mark.usefixtures("silent_hub")
def test_a_hub_that_never_answers_is_given_up_on() -> None:
    start = time.monotonic()
    with pytest.raises(ModelError, match="the Hugging Face Hub cannot be reached"):
        load_model("clip-ViT-B-32")
    assert time.monotonic() - start < 30  # the hub's client alone would take a minute


@pytest.mark.usefixtures("silent_hub")
def test_a_hub_that_answers_is_asked_and_the_download_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(name: str, device: None, *, local_files_only: bool) -> None:
        assert not local_files_only
        raise OSError(f"{name} is not there\nand more")

    monkeypatch.setattr(subject, "_hub_answers", lambda: True)
    monkeypatch.setattr(subject, "_load_repository", refuse)
    said: list[str] = []
    with pytest.raises(ModelError, match=r"cannot load clip-ViT-B-32 .* is not there$"):
        load_model("clip-ViT-B-32", notify=said.append)
    assert said == ["downloading the weights of clip-ViT-B-32 from the Hugging Face Hub (once)"]


@pytest.mark.slow
def test_loading_prints_nothing_and_warns_of_nothing(raw: Path, tmp_path: Path) -> None:
    put_in_hub_cache(raw, tmp_path / "hub", "sentence-transformers/clip-ViT-B-32")
    code = (
        "from PIL import Image; from lookalike import load_model; m = load_model(); "
        "m.embed_images([Image.new('RGB', (50, 40))]); m.embed_texts(['a cat']); print(m.id)"
    )
    hidden = {"HF_HUB_CACHE", "SENTENCE_TRANSFORMERS_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**environment, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert (run.stdout, run.stderr, run.returncode) == ("clip-ViT-B-32\n", "", 0)


def test_the_embedded_models_weights_are_what_torch_reads() -> None:
    expected = torch.load(weights_path(), weights_only=True)
    weights = read_legacy_checkpoint(weights_path())
    assert weights.keys() == expected.keys()
    for name, tensor in expected.items():
        np.testing.assert_array_equal(weights[name], tensor.numpy(), strict=True)
