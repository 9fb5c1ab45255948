"""From an image to a square of pixels: against Pillow's plain resize and crop."""

import pickle
import subprocess
import sys

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from lookalike.core.errors import InputError
from lookalike.models.preprocessing import Preprocessing
from tests.places import PHOTOS

SQUARE = Preprocessing(short_side=298, crop=260)
WHOLE = Preprocessing(short_side=224, crop=224, whole=True)
CENTRE = Preprocessing(short_side=64, crop=50, whole=True, resample=Image.Resampling.BILINEAR)


def smooth(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def noisy(width: int, height: int) -> Image.Image:
    rng = np.random.default_rng(width * 10_000 + height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))


def resized_then_cropped(image: Image.Image) -> npt.NDArray[np.int64]:
    """What the papers do: the whole image is resized, and the centre is cut out."""
    ratio = 298 / min(image.size)
    whole = image.resize(
        (round(image.width * ratio), round(image.height * ratio)), Image.Resampling.BICUBIC
    )
    left, top = (whole.width - 260) // 2, (whole.height - 260) // 2
    return np.asarray(whole.crop((left, top, left + 260, top + 260))).astype(int)


@pytest.mark.parametrize("size", [(298, 298), (298, 400), (640, 480), (1000, 1500), (100, 77)])
def test_equals_resize_and_crop_up_to_rounding(size: tuple[int, int]) -> None:
    image = smooth(*size)
    pixels = SQUARE(image)
    assert (pixels.shape, pixels.dtype) == ((260, 260, 3), np.uint8)
    assert pixels.flags.c_contiguous
    difference = np.abs(pixels - resized_then_cropped(image))
    assert difference.mean() < 1.0
    assert difference.max() < 8


def test_equals_resize_and_crop_to_two_levels_where_no_size_is_rounded() -> None:
    image = smooth(596, 1192)  # Pillow rounds to 8 bits after each of its two passes
    np.testing.assert_allclose(SQUARE(image), resized_then_cropped(image), atol=2)


@pytest.mark.parametrize("preprocessing", [SQUARE, WHOLE, CENTRE])
def test_colours_stay_where_they_were(preprocessing: Preprocessing) -> None:
    image = Image.new("RGB", (60, 40), "black")
    image.paste("red", (0, 0, 30, 40))
    pixels = preprocessing(image)
    side = preprocessing.crop
    assert pixels.shape == (side, side, 3)
    assert (pixels[:, : side // 3] == [255, 0, 0]).all()
    np.testing.assert_array_equal(pixels[:, -side // 3 :], 0)


# Expected: sizes and offsets as transformers' CLIP image processor rounds them (both down); the
# comparison with the processor itself is in tests/models/clip.
@pytest.mark.parametrize(
    "size, resized, corner",
    [
        ((224, 224), (224, 224), (0, 0)),
        ((640, 480), (298, 224), (37, 0)),
        ((480, 641), (224, 299), (0, 37)),
        ((97, 61), (356, 224), (66, 0)),
        ((2048, 1536), (298, 224), (37, 0)),
    ],
)
def test_the_whole_image_is_resized_as_clip_does(
    size: tuple[int, int], resized: tuple[int, int], corner: tuple[int, int]
) -> None:
    image = noisy(*size)
    whole = np.asarray(image.resize(resized, Image.Resampling.BICUBIC))
    left, top = corner
    np.testing.assert_array_equal(WHOLE(image), whole[top : top + 224, left : left + 224])


def test_a_smaller_square_is_cut_out_of_the_whole() -> None:
    whole = np.asarray(noisy(300, 100).resize((192, 64), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(CENTRE(noisy(300, 100)), whole[7:57, 71:121])


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1), (1, 1), (3, 40_000)])
@pytest.mark.parametrize("preprocessing", [SQUARE, WHOLE, CENTRE])
def test_long_and_tiny_images_are_embedded(
    preprocessing: Preprocessing, size: tuple[int, int]
) -> None:
    pixels = preprocessing(Image.new("RGB", size, "red"))
    np.testing.assert_array_equal(pixels[..., 0], 255)
    np.testing.assert_array_equal(pixels[..., 1:], 0)


def test_of_a_very_long_image_the_centre_is_seen() -> None:
    image = Image.new("RGB", (20_001, 10), "black")
    image.paste("red", (9_990, 0, 10_011, 10))
    for preprocessing in (SQUARE, WHOLE):
        np.testing.assert_array_equal(preprocessing(image)[..., 0], 255)


def test_long_images_take_little_memory() -> None:
    code = """if True:
        import resource
        from PIL import Image
        from lookalike.models.preprocessing import Preprocessing
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for prepare in (Preprocessing(298, 260), Preprocessing(224, 224, whole=True)):
            prepare(Image.new("RGB", (1, 5000)))
            prepare(Image.new("RGB", (40_000, 3)))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kibibytes = int(run.stdout) // (1024 if sys.platform == "darwin" else 1)
    assert kibibytes < 50_000  # resized whole, the first alone would take 1,700,000


@pytest.mark.parametrize("preprocessing", [SQUARE, WHOLE])
@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16"])
def test_an_image_that_is_not_rgb_is_refused(preprocessing: Preprocessing, mode: str) -> None:
    with pytest.raises(InputError, match=f"an image of mode '{mode}' cannot be embedded"):
        preprocessing(Image.new(mode, (10, 10)))


def test_other_processes_get_it_pickled() -> None:
    with Image.open(PHOTOS / "cat.jpg") as image:
        for preprocessing in (SQUARE, CENTRE):
            copy = pickle.loads(pickle.dumps(preprocessing))
            assert copy == preprocessing
            np.testing.assert_array_equal(copy(image), preprocessing(image))


def test_it_needs_no_network() -> None:
    code = (
        "import sys, pickle, lookalike.models.preprocessing as p; p.Preprocessing(298, 260);"
        "print({'onnx', 'onnxruntime', 'torch', 'transformers'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
