"""Preprocessing and batching around an ONNX graph."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

from lookalike.errors import InputError, ModelError
from lookalike.models.base import FloatArray, Model
from lookalike.models.onnx import OnnxModel, Preprocessing

PREPROCESSING = Preprocessing(short_side=298, crop=260, mean=127.0, scale=128.0)


def smooth(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def resized_then_cropped(image: Image.Image) -> FloatArray:
    """What the papers do: the whole image is resized, and the centre is cut out."""
    ratio = 298 / min(image.size)
    whole = image.resize(
        (round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BICUBIC
    )
    left, top = (whole.width - 260) // 2, (whole.height - 260) // 2
    square = np.asarray(whole.crop((left, top, left + 260, top + 260)), np.float32)
    return (square.transpose(2, 0, 1) - 127) / 128


@pytest.mark.parametrize("size", [(298, 298), (298, 400), (640, 480), (1000, 1500), (100, 77)])
def test_equals_resize_and_crop_up_to_rounding(size: tuple[int, int]) -> None:
    image = smooth(*size)
    pixels = PREPROCESSING(image)
    assert (pixels.shape, pixels.dtype) == ((3, 260, 260), np.float32)
    assert pixels.flags.c_contiguous
    difference = np.abs(pixels - resized_then_cropped(image)) * 128
    assert difference.mean() < 1.0
    assert difference.max() < 8.0


def test_equals_resize_and_crop_to_two_levels_where_no_size_is_rounded() -> None:
    image = smooth(596, 1192)  # Pillow rounds to 8 bits after each of its two passes
    np.testing.assert_allclose(PREPROCESSING(image), resized_then_cropped(image), atol=2.01 / 128)


def test_black_and_white_are_minus_one_and_one() -> None:
    black, white = (PREPROCESSING(Image.new("RGB", (50, 60), c)) for c in ("black", "white"))
    np.testing.assert_array_equal(black, np.full((3, 260, 260), -127 / 128, np.float32))
    np.testing.assert_array_equal(white, np.full((3, 260, 260), 1, np.float32))


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (3, 40_000)])
def test_long_and_tiny_images_are_embedded(size: tuple[int, int]) -> None:
    pixels = PREPROCESSING(Image.new("RGB", size, "red"))
    np.testing.assert_array_equal(pixels[0], np.ones((260, 260), np.float32))


def test_long_images_take_little_memory() -> None:
    code = """if True:
        import resource
        from PIL import Image
        from lookalike.models.onnx import Preprocessing
        prepare = Preprocessing(short_side=298, crop=260, mean=127, scale=128)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        prepare(Image.new("RGB", (1, 5000)))
        prepare(Image.new("RGB", (40_000, 3)))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kibibytes = int(run.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kibibytes < 50_000  # resized whole, the first alone would take 1,700,000


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16"])
def test_an_image_that_is_not_rgb_is_refused(mode: str) -> None:
    with pytest.raises(InputError, match=f"an image of mode '{mode}' cannot be embedded"):
        PREPROCESSING(Image.new(mode, (10, 10)))


def pooling_graph() -> bytes:
    """A graph whose embedding is the mean of each colour: expected values by hand."""
    float32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
            onnx.helper.make_node("Flatten", ["pooled"], ["colour"]),
        ],
        "colour",
        [onnx.helper.make_tensor_value_info("pixels", float32, ["n", 3, 4, 4])],
        [onnx.helper.make_tensor_value_info("colour", float32, ["n", 3])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


def colour_model(mean: FloatArray | None = None) -> OnnxModel:
    return OnnxModel(
        id="colour",
        graph=pooling_graph(),
        preprocessing=Preprocessing(short_side=4, crop=4, mean=0.0, scale=255.0),
        output="colour",
        mean=mean,
        batch_size=2,
        threads=1,
    )


def test_embeds_in_batches_in_order() -> None:
    model: Model = colour_model()
    colours = ["red", "lime", "blue", "black", "white"]
    images = [Image.new("RGB", (8, 6), colour) for colour in colours]
    expected = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(model.embed_images(images), expected, atol=1e-6)
    assert (model.id, model.dim, model.has_text) == ("colour", 3, False)


def test_subtracts_the_mean_and_modifies_nothing() -> None:
    mean = np.array([0.5, 0.25, 0], np.float32)
    model = colour_model(mean)
    pixels = np.ones((1, 3, 4, 4), np.float32)
    np.testing.assert_allclose(model.embed_batch(pixels), [[0.5, 0.75, 1]])
    np.testing.assert_array_equal(mean, [0.5, 0.25, 0])
    np.testing.assert_array_equal(pixels, 1)


def test_a_mean_of_another_length_is_refused() -> None:
    with pytest.raises(ModelError, match=r"the mean of colour has shape \(4,\), not \(3,\)"):
        colour_model(np.zeros(4, np.float32))


def test_embed_images_is_preprocess_and_embed_batch() -> None:
    model = colour_model()
    images = [smooth(7, 5), smooth(5, 9)]
    pixels = np.stack([model.preprocess(image) for image in images])
    np.testing.assert_array_equal(model.embed_images(images), model.embed_batch(pixels))
