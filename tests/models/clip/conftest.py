"""A tiny CLIP of random weights, made here; nothing is fetched."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules
from transformers import CLIPConfig, CLIPModel, CLIPProcessor, CLIPTokenizer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

from tests.places import PHOTOS

DIM, PIXELS = 16, 32


def make_clip(folder: Path) -> Path:
    """Save a CLIP of random weights, as transformers does, and its tokenizer of single letters."""
    folder.mkdir()
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "ca", "cat</w>"]
    vocabulary = {t: i for i, t in enumerate([*tokens, "<|startoftext|>", "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    tokenizer = CLIPTokenizer(
        vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"), model_max_length=16
    )
    layers = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    config = CLIPConfig(
        text_config={
            **layers,
            "num_attention_heads": 2,
            "vocab_size": len(vocabulary),
            "max_position_embeddings": 16,
            "bos_token_id": vocabulary["<|startoftext|>"],
            "eos_token_id": vocabulary["<|endoftext|>"],
        },
        vision_config={
            **layers, "num_attention_heads": 2, "image_size": PIXELS, "patch_size": 8
        },
        projection_dim=DIM,
    )  # fmt: skip
    torch.manual_seed(0)
    crop = {"height": PIXELS, "width": PIXELS}
    images = CLIPImageProcessorPil(size={"shortest_edge": PIXELS}, crop_size=crop)
    CLIPModel(config).save_pretrained(folder)
    CLIPProcessor(images, tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "raw")


@pytest.fixture(scope="session")
def saved(raw: Path) -> Path:
    folder = raw.with_name("saved")
    SentenceTransformer(modules=[modules.Transformer(str(raw))]).save(str(folder))
    return folder


@pytest.fixture(scope="session")
def photos() -> list[Image.Image]:
    images = []
    for name in ("cat.jpg", "coffee.jpg", "rocket.jpg"):
        with Image.open(PHOTOS / name) as image:
            images.append(image.convert("RGB"))
    return images
