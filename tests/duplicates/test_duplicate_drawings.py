"""One drawing or two: cards, faces and icons that differ in a small sign, and copies of each."""

from io import BytesIO
from itertools import combinations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from lookalike.duplicates.closer import SIDE as LARGE
from lookalike.duplicates.closer import same_drawing
from lookalike.duplicates.compare import SIDE, TURNS, same_picture
from lookalike.duplicates.drawings import is_drawing
from lookalike.images.decode import open_image

SIZE = 140, 190


def card(suit, number="9"):
    """A card of the suit, drawn at four times its size."""
    image = Image.new("RGB", (560, 760), "white")
    draw = ImageDraw.Draw(image)
    draw.rectangle((6, 6, 553, 753), outline="black", width=6)
    draw.text((30, 20), number, "black", ImageFont.load_default(110))
    for x in (180, 280, 380):
        for y in (180, 380, 580):
            pip(draw, suit, x, y)
    return image.resize(SIZE, Image.Resampling.LANCZOS)


def pip(draw, suit, x, y):
    draw.polygon([(x, y), (x - 14, y + 50), (x + 14, y + 50)], fill="black")
    if suit == "spade":
        draw.polygon([(x, y - 50), (x - 42, y + 20), (x + 42, y + 20)], fill="black")
    else:
        for left, top in ((0, -28), (-25, 8), (25, 8)):
            draw.ellipse((x + left - 22, y + top - 22, x + left + 22, y + top + 22), fill="black")


def face(winks):
    image = Image.new("RGB", (400, 400), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 10, 390, 390), fill="gold", outline="black", width=6)
    draw.ellipse((120, 120, 160, 170), fill="black")
    draw.rectangle((240, 142, 280, 150), fill="black") if winks else draw.ellipse(
        (240, 120, 280, 170), fill="black"
    )
    draw.arc((100, 150, 300, 320), 20, 160, fill="black", width=8)
    return image


def arrow():
    image = Image.new("RGB", (240, 240), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((10, 10, 230, 230), fill="silver", outline="black", width=10)
    for x in (60, 120):
        draw.polygon([(x, 60), (x + 60, 120), (x, 180)], fill="white", outline="black", width=6)
    return image


def folder(sign):
    image = Image.new("RGB", (240, 240), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon([(20, 40), (100, 40), (120, 70), (220, 70), (220, 210), (20, 210)], fill="grey")
    if sign:
        draw.ellipse((100, 110, 150, 160), fill="lightgrey", outline="black", width=4)
    return image


def mirrored(image):
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def thumbnail(image):
    file = BytesIO()
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    small.save(file, "JPEG", quality=90, subsampling=0)
    return np.asarray(Image.open(file))


def same(one, other, **options):
    """Whether their thumbnails agree and, of drawings, then their files too."""
    small = [thumbnail(image)[np.newaxis] for image in (one, other)]
    sizes = np.array([[one.size, other.size]])
    agree = same_picture(*small, sizes=sizes, **options)[0]
    if not agree or not any(is_drawing(each)[0] for each in small):
        return agree
    turns = TURNS if options.get("orientations") == "all" else 1
    return closer(one, other, turns)


def closer(one, other, turns=1):
    large = [
        np.asarray(image.convert("RGB").resize((LARGE, LARGE), Image.Resampling.LANCZOS))
        for image in (one, other)
    ]
    # The mean step of brightness in the file's own table.
    loss = max(np.mean(getattr(image, "quantization", {0: 0})[0]) for image in (one, other))
    sizes = np.array([[one.size, other.size]])
    return same_drawing(*(each[np.newaxis] for each in large), sizes, np.array([loss]), turns)[0]


def jpeg(image, quality):
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)


def scaled(image, share):
    size = round(image.width * share), round(image.height * share)
    return image.resize(size, Image.Resampling.LANCZOS)


def without_an_edge(image):
    return image.crop((0, image.height // 20, image.width - image.width // 20, image.height))


COPIES = {
    "75%": lambda image: scaled(image, 0.75),
    "50%": lambda image: scaled(image, 0.5),
    "25%": lambda image: scaled(image, 0.25),
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 50": lambda image: jpeg(image, 50),
    "JPEG 30": lambda image: jpeg(image, 30),
    "palette": lambda image: image.quantize(64).convert("RGB"),
    "cropped": without_an_edge,
}
DRAWINGS = [card("club"), card("spade"), card("club", "6"), face(False), face(True), arrow()]
DRAWINGS += [mirrored(arrow()), folder(True), folder(False)]


@pytest.mark.parametrize("copy", COPIES)
def test_copies_of_a_drawing_are_the_same_picture(copy):
    assert all(same(image, COPIES[copy](image)) for image in DRAWINGS)
    assert all(same(COPIES[copy](image), image) for image in DRAWINGS)


@pytest.mark.parametrize("copy", ["75%", "50%", "JPEG 50", "palette", "cropped"])
def test_a_small_sign_makes_another_drawing(copy):
    pairs = list(combinations(DRAWINGS, 2))
    assert not any(same(*pair) for pair in pairs)
    assert not any(same(one, COPIES[copy](other)) for one, other in pairs)


@pytest.mark.nightly
@pytest.mark.parametrize("quality", [90, 70, 50])
def test_files_tell_signs_apart_that_thumbnails_do_not(quality):
    for one, other in combinations(DRAWINGS, 2):
        assert not closer(one, jpeg(other, quality))
        assert not closer(jpeg(one, quality), scaled(other, 0.75))


def test_a_mirrored_drawing_is_another_unless_asked_for():
    assert not same(arrow(), mirrored(arrow()))
    assert same(arrow(), mirrored(arrow()), orientations="all")
    turned = card("club").transpose(Image.Transpose.ROTATE_90)
    assert not same(card("club"), turned)
    assert same(card("club"), turned, orientations="all")
    assert same(card("club"), scaled(turned, 0.3), orientations="all")
    assert not same(card("spade"), turned, orientations="all")


def test_a_mirrored_photograph_is_the_same_unless_upright_is_asked_for(photos):
    cat = open_image(photos / "cat.jpg")
    assert same(cat, mirrored(cat)) and same(cat, mirrored(cat), orientations="all")
    assert not same(cat, mirrored(cat), orientations="upright")
    assert same(cat, scaled(cat, 0.5), orientations="upright")
