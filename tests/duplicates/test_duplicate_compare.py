"""One picture or two, on real photographs and on pages of text."""

import textwrap
from io import BytesIO
from itertools import combinations
from pydoc_data.topics import topics

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from lookalike.duplicates.compare import SIDE, same_picture
from lookalike.images.decode import open_image

# These overlap with others, or were made of them: see examples/photos/SOURCES.md.
DERIVED = ("-crop", "-dark", "-mirrored", "-rotated", "-small", "-near", "-tower")


@pytest.fixture(scope="module")
def pictures(photos):
    files = sorted(photos.glob("*.*"))
    names = [f for f in files if f.suffix != ".md" and not any(d in f.stem for d in DERIVED)]
    return [open_image(file) for file in names]


def thumbnail(image):
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def same(one, other):
    return same_picture(thumbnail(one)[np.newaxis], thumbnail(other)[np.newaxis])[0]


def cropped(image, share, left, top):
    """Without a share of width and height; left and top: how much of it goes there."""
    width, height = image.size
    x, y = round(width * share * left), round(height * share * top)
    return image.crop((x, y, x + round(width * (1 - share)), y + round(height * (1 - share))))


def recompressed(image, quality):
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


VARIANTS = {
    "resized": lambda image: image.resize((image.width // 3, image.height // 3)),
    "squeezed": lambda image: image.resize((image.width, image.height * 2 // 3)),
    "recompressed": lambda image: recompressed(image, 30),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.7),
    **{turn.name: lambda image, turn=turn: image.transpose(turn) for turn in Image.Transpose},
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_picture(pictures, variant):
    assert all(same(image, VARIANTS[variant](image)) for image in pictures)


@pytest.mark.parametrize("share", [0.05, 0.1])
def test_the_same_picture_cropped(pictures, share):
    rng = np.random.default_rng(0)
    # Half of them the other way round: which of two is the crop makes no difference.
    pairs = [(image, cropped(image, share, *rng.random(2))) for image in pictures]
    found = [same(*(pair if i % 2 else pair[::-1])) for i, pair in enumerate(pairs)]
    assert np.mean(found) > 0.9  # a brick wall is found whole only


def test_the_same_picture_cropped_on_one_side(pictures):
    found = [same(image, image.crop((image.width // 8, 0, *image.size))) for image in pictures]
    assert np.mean(found) > 0.9


def test_the_same_picture_cropped_and_mirrored(pictures):
    turn = Image.Transpose.FLIP_LEFT_RIGHT
    found = [same(image, cropped(image.transpose(turn), 0.05, 0.5, 0.5)) for image in pictures]
    assert np.mean(found) > 0.7


def test_other_photographs(pictures):
    one, other = zip(*combinations(pictures, 2), strict=True)
    found = same_picture(np.stack([*map(thumbnail, one)]), np.stack([*map(thumbnail, other)]))
    assert len(found) > 100 and not found.any()


def page(lines):
    image = Image.new("RGB", (850, 1100), "white")
    text = "\n".join(lines).encode("latin-1", "replace").decode("latin-1")
    ImageDraw.Draw(image).text((60, 60), text, "black", ImageFont.load_default(15))
    return image


@pytest.mark.nightly
def test_pages_of_text_are_told_apart():
    words = " ".join(" ".join(topics.values()).split())
    lines = textwrap.wrap(words, 90)
    pages = [page(lines[start : start + 52]) for start in range(0, 20 * 52, 52)]
    assert not any(same(*pair) for pair in combinations(pages, 2))
    assert all(same(each, recompressed(each.resize((425, 550)), 60)) for each in pages)


def test_other_colours_are_another_picture(pictures):
    for image in pictures:
        red, green, blue = image.split()
        if np.std(np.subtract(red, blue, dtype=float)) > 40:
            assert not same(image, Image.merge("RGB", (blue, green, red)))


def test_blank_pictures_resemble_nothing():
    blank = [Image.new("RGB", (50, 50), colour) for colour in ("white", "white", "black")]
    noise = Image.effect_noise((50, 50), 1).convert("RGB")
    assert not any(same(*pair) for pair in combinations([*blank, noise], 2))


def test_pairs_are_judged_one_by_one(pictures):
    thumbnails = np.stack([*map(thumbnail, pictures)])
    turned = np.stack([np.rot90(thumbnails[0]), thumbnails[1], thumbnails[2]])
    assert same_picture(thumbnails[:3], turned).tolist() == [True, True, True]
    assert same_picture(thumbnails[:3], turned[::-1]).tolist() == [False, True, False]
    assert same_picture(thumbnails[:0], turned[:0]).tolist() == []


@pytest.mark.parametrize(
    ("one", "other"), [*combinations(("t-shirt-black", "t-shirt-blue", "t-shirt-print"), 2)]
)
def test_a_product_in_another_colour_or_with_a_print_is_another_picture(photos, one, other):
    shirts = photos.parent / "products" / "shirts"
    assert not same(open_image(shirts / f"{one}.jpg"), open_image(shirts / f"{other}.jpg"))
