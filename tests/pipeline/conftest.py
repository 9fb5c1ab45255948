"""Decoders, of images that are sound and one that is hostile."""

import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.decoder import Decoder
from tests.pipeline.decoders import HOSTILE, LIMIT, SIZES


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with an image that is sound and one that sets hostile preprocessing off."""
    for name, size in SIZES.items():
        Image.new("RGB", size, (9, 8, 7)).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def start() -> Iterator[Callable[..., Decoder]]:
    """Make decoders that are closed after the test."""
    decoders = []

    def make(preprocessing: Preprocessing | None = None, time_limit: float = LIMIT) -> Decoder:
        decoders.append(Decoder(lambda: preprocessing, time_limit=time_limit))
        return decoders[-1]

    yield make
    for decoder in decoders:
        decoder.close()


@pytest.fixture
def hostile(tmp_path_factory, monkeypatch, start) -> Callable[..., Decoder]:
    """Make decoders that do something to themselves when they decode hostile.png."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "hostile.py").write_text(HOSTILE)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.delitem(sys.modules, "hostile", raising=False)
    import hostile

    return lambda act, **options: start(hostile.Hostile(20, 16, act=act), **options)


@pytest.fixture(scope="module")
def sound() -> Iterator[Decoder]:
    """A decoder to all the pixels, for tests that leave it as it is."""
    with closing(Decoder(lambda: None, time_limit=LIMIT)) as decoder:
        yield decoder
