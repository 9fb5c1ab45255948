"""Images preprocessed elsewhere and embedded in batches, as `encode` embeds them."""

import pickle
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from lookalike.core.errors import ModelError
from lookalike.models.base import BatchModel, FloatArray, Pixels
from lookalike.models.clip import precision as precision
from lookalike.models.clip.encoder import BatchEncoderModel, describe, make_model
from lookalike.models.clip.precision import Precision, chosen_precision, measure
from lookalike.models.preprocessing import shorten
from lookalike.models.registry import load_model

TEXTS = ["a cat", "two red bicycles"]
SIZES = [(224, 224), (640, 480), (480, 641), (97, 61), (1025, 333), (226, 900), (7, 3), (1, 1)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model(saved: Path) -> BatchEncoderModel:
    model = load_model(str(saved))
    assert isinstance(model, BatchEncoderModel)
    return model


def noisy(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 10_000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def preprocessed(model: BatchModel, images: list[Image.Image]) -> Pixels:
    return np.stack([model.preprocessing(image) for image in images])


def cosines(a: FloatArray, b: FloatArray) -> FloatArray:
    cosines: FloatArray = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return cosines


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "options",
    [{}, {"size": {"shortest_edge": 336}}, {"size": {"shortest_edge": 250}, "resample": 2}],
    ids=["224", "336", "250, bilinear"],
)
def test_pixels_are_the_image_processors_own(
    options: dict[str, Any], size: tuple[int, int]
) -> None:
    processor = CLIPImageProcessorPil(**options)
    found = describe(processor)
    assert found is not None
    preprocessing, _ = found
    image = noisy(*size)
    plain = {"do_rescale": False, "do_normalize": False}
    expected = processor(image, return_tensors="np", **plain)["pixel_values"][0]
    np.testing.assert_array_equal(preprocessing(image).transpose(2, 0, 1), expected)
    assert pickle.loads(pickle.dumps(preprocessing)) == preprocessing


@pytest.mark.parametrize("size", [(20_000, 15), (15, 20_001)])
def test_very_long_images_are_cut_first(size: tuple[int, int]) -> None:
    processor = CLIPImageProcessorPil(do_rescale=False, do_normalize=False)
    found = describe(processor)
    assert found is not None
    image = noisy(*size)
    expected = processor(shorten(image), return_tensors="np")["pixel_values"][0]
    np.testing.assert_array_equal(found[0](image).transpose(2, 0, 1), expected)


@pytest.mark.parametrize(
    "options", [{}, {"do_normalize": False}, {"do_rescale": False}, {"image_std": [0.5, 1, 2]}]
)
def test_values_are_the_processors_own(options: dict[str, Any]) -> None:
    processor = CLIPImageProcessorPil(**options)
    found = describe(processor)
    assert found is not None
    preprocessing, normalisation = found
    image = noisy(300, 400)
    values = preprocessing(image) * np.array(normalisation.scale) + normalisation.offset
    expected = processor(image, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(values.transpose(2, 0, 1), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "processor",
    [
        None,
        object(),
        SiglipImageProcessorPil(),
        CLIPImageProcessorPil(do_center_crop=False),
        CLIPImageProcessorPil(do_resize=False),
        CLIPImageProcessorPil(size={"height": 224, "width": 224}),
        CLIPImageProcessorPil(size={"shortest_edge": 224, "longest_edge": 300}),
        CLIPImageProcessorPil(crop_size={"height": 224, "width": 200}),
        CLIPImageProcessorPil(size={"shortest_edge": 200}),  # smaller than its crop: padded
        CLIPImageProcessorPil(image_mean=[0.5]),
    ],
)
def test_other_processors_are_not_described(processor: object) -> None:
    assert describe(processor) is None


def test_a_batch_is_embedded_as_encode_does(
    model: BatchEncoderModel, saved: Path, photos: list[Image.Image]
) -> None:
    images = [*photos, *(noisy(*size) for size in SIZES)]
    pixels = preprocessed(model, images)
    assert (pixels.shape, pixels.dtype) == ((11, 32, 32, 3), np.uint8)
    expected = SentenceTransformer(str(saved)).encode(images)
    single = np.concatenate([model.embed_batch(each[None]) for each in pixels])
    assert model.precision == "float32"
    np.testing.assert_allclose(single, expected, rtol=0, atol=1e-5)
    pixels.flags.writeable = False
    embeddings = model.embed_batch(pixels)
    assert (embeddings.shape, embeddings.dtype) == ((11, 16), np.float32)
    assert cosines(embeddings, expected).min() >= 0.999
    assert model.embed_batch(pixels[:0]).shape == (0, 16)


def test_images_go_the_same_way_as_batches(
    model: BatchEncoderModel, photos: list[Image.Image]
) -> None:
    pixels = preprocessed(model, photos)
    np.testing.assert_array_equal(model.embed_images(photos), model.embed_batch(pixels))


def test_images_beyond_a_batch_keep_their_order(model: BatchEncoderModel) -> None:
    images = [noisy(40 + i, 50) for i in range(model.batch_size + 3)]
    together = model.embed_images(images)
    for i in (0, model.batch_size - 1, model.batch_size, len(images) - 1):
        assert cosines(together[[i]], model.embed_images([images[i]])) > 0.9999


def test_what_follows_the_network_is_applied(
    raw: Path, tmp_path: Path, photos: list[Image.Image]
) -> None:
    torch.manual_seed(1)
    dense = Dense(16, 5, bias=True)
    names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    for name, value in names.items():
        setattr(dense, name, value)
    encoder = SentenceTransformer(modules=[Transformer(str(raw)), dense, Normalize()])
    encoder.save(str(tmp_path / "longer"))
    model = load_model(str(tmp_path / "longer"))
    assert isinstance(model, BatchModel)
    embeddings = model.embed_batch(preprocessed(model, photos))
    np.testing.assert_allclose(embeddings, encoder.encode(photos), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)


def test_shortened_embeddings_stay_short(saved: Path, photos: list[Image.Image]) -> None:
    encoder = SentenceTransformer(str(saved), truncate_dim=7)
    model = make_model(id="short", images=encoder, texts=encoder)
    assert isinstance(model, BatchModel)
    assert model.dim == 7
    embeddings = model.embed_batch(preprocessed(model, photos))
    np.testing.assert_allclose(embeddings, encoder.encode(photos), rtol=0, atol=1e-5)


def crop_aside(image: np.ndarray, size: Any) -> np.ndarray:
    return CLIPImageProcessorPil().center_crop(np.roll(image, 1, axis=2), size)


@pytest.mark.parametrize(
    "change",
    [
        lambda processor: setattr(processor, "do_center_crop", False),
        lambda processor: setattr(processor, "size", {"height": 32, "width": 32}),
        lambda processor: setattr(processor, "center_crop", crop_aside),
        lambda processor: setattr(processor, "rescale", lambda image, scale: image * scale * 0.98),
    ],
    ids=["no crop", "squeezed", "a pixel aside", "darker"],
)
def test_a_processor_that_does_other_things_is_kept(
    saved: Path, photos: list[Image.Image], change: Callable[[Any], None]
) -> None:
    encoder = SentenceTransformer(str(saved))
    change(encoder[0].processor.image_processor)
    squares = [photo.resize((40, 40)).crop((0, 0, 32, 32)) for photo in photos]
    model = make_model(id="changed", images=encoder, texts=encoder)
    assert not isinstance(model, BatchModel)
    np.testing.assert_allclose(
        model.embed_images(squares), encoder.encode(squares), rtol=0, atol=1e-5
    )
    assert model.embed_images([]).shape == model.embed_texts([]).shape == (0, 16)


def test_an_encoder_that_gives_something_else_is_kept(
    saved: Path, photos: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = SentenceTransformer(str(saved))
    encode = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda *a, **options: encode(*a, **options)[:, ::-1])
    model = make_model(id="changed", images=encoder, texts=encoder)
    assert not isinstance(model, BatchModel)


def linear_dtypes(model: BatchEncoderModel, part: str) -> set[torch.dtype]:
    modules = getattr(model._images[0].model, part).modules()
    return {each.weight.dtype for each in modules if isinstance(each, torch.nn.Linear)}


def test_bfloat16_is_chosen_on_the_users_own_images_and_remembered(
    model: BatchEncoderModel, saved: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"float32": 2.0, "bfloat16": 1.0}
    monkeypatch.setattr(precision, "_timed", lambda embed, pixels: (embed(pixels), 1.0))
    monkeypatch.setattr(precision, "_median_seconds", lambda ways, _: {n: seconds[n] for n in ways})
    pixels = preprocessed(model, [noisy(40 + i, 50) for i in range(20)])
    reference = np.concatenate([model.embed_batch(pixels[i : i + 7]) for i in (0, 7, 14)])
    texts = model.embed_texts(TEXTS)
    assert model.precision == "float32"
    assert chosen_precision(model.id) is None
    embeddings = model.embed_batch(pixels)
    assert model.precision == "bfloat16"
    assert embeddings.dtype == np.float32
    assert 0.999 <= cosines(embeddings, reference).min() < 1 - 1e-7
    chosen = chosen_precision(model.id)
    assert chosen is not None
    assert chosen.cosine == pytest.approx(cosines(embeddings, reference)[:16].min(), abs=1e-4)
    np.testing.assert_array_equal(model.embed_texts(TEXTS), texts)
    assert linear_dtypes(model, "vision_model") == {torch.bfloat16}
    assert linear_dtypes(model, "text_model") == {torch.float32}
    again = load_model(str(saved))
    assert isinstance(again, BatchEncoderModel)
    assert again.precision == "bfloat16"
    np.testing.assert_allclose(again.embed_batch(pixels), embeddings, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(again.embed_texts(TEXTS), texts)


def test_bfloat16_is_measured_on_a_real_network(model: BatchEncoderModel) -> None:
    pixels = preprocessed(model, [noisy(40 + i, 50) for i in range(8)])
    tower = model._tower
    chosen = measure(pixels, tower.embed, tower.candidates)
    assert chosen.name in {"float32", "bfloat16"}
    assert 0.999 <= chosen.cosine <= 1
    assert chosen.speedup >= 1


def test_a_candidate_that_is_broken_is_refused(model: BatchEncoderModel) -> None:
    pixels = preprocessed(model, [noisy(40 + i, 50) for i in range(8)])

    def broken(pixels: Pixels) -> FloatArray:
        return np.roll(reference, 1, axis=1)

    reference = model._tower.embed(pixels)
    assert measure(pixels, model._tower.embed, {"bfloat16": broken}).name == "float32"


def test_a_record_of_float32_asks_for_no_measurement(
    model: BatchEncoderModel, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def measured(pixels: Pixels, *_: object) -> Precision:
        calls.append(len(pixels))
        return Precision("float32", 1.0, 1.0)

    monkeypatch.setattr(precision, "measure", measured)
    images = [noisy(40 + i, 50) for i in range(8)]
    model.embed_images(images)
    model.embed_images(images)
    load_model(str(saved)).embed_images(images)
    assert calls == [8]


def test_threads_that_embed_while_the_choice_is_made_are_served(
    model: BatchEncoderModel, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        precision, "measure", lambda *_: Precision("bfloat16", speedup=2.0, cosine=0.9999)
    )
    images = [noisy(40 + i, 50) for i in range(9)]
    expected = SentenceTransformer(str(saved)).encode(images)
    start = threading.Barrier(6)

    def embed(count: int) -> FloatArray:
        start.wait()
        return model.embed_images(images[:count])

    with ThreadPoolExecutor(6) as pool:
        for embeddings in pool.map(embed, [1, 9, 3, 9, 1, 9]):
            assert cosines(embeddings, expected[: len(embeddings)]).min() > 0.999
    assert model.precision == "bfloat16"


def test_torch_keeps_its_threads_for_everyone_else(model: BatchEncoderModel) -> None:
    before = torch.get_num_threads()
    pixels = preprocessed(model, [noisy(40 + i, 50) for i in range(3)])
    model.embed_batch(pixels)
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


@pytest.mark.parametrize("device", ["nonsense", "meta", "cuda:99", "mps:9", ""])
def test_a_device_that_torch_lacks_is_refused(saved: Path, device: str) -> None:
    with pytest.raises(ModelError, match=f"torch has no device '{device}' on this") as caught:
        load_model(str(saved), device=device)
    assert len(str(caught.value).splitlines()) == 1


def test_a_device_can_be_named(saved: Path, photos: list[Image.Image]) -> None:
    model = load_model(str(saved), device="cpu")
    np.testing.assert_array_equal(
        model.embed_images(photos), load_model(str(saved)).embed_images(photos)
    )
