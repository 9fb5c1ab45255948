import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from lookalike.core.errors import ImageError
from lookalike.images.decode import BAND_PIXELS, content_hash, open_image, to_rgb
from lookalike.images.walk import SUFFIXES

RED, GREEN = (220, 30, 40), (20, 200, 60)


def halves(size=(64, 32)) -> Image.Image:
    """Left red, right green."""
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, (size[0] // 2, 0, *size))
    return image


def near(pixel, colour, tolerance=25):
    return all(abs(a - b) <= tolerance for a, b in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff", "avif", "heic"])
def test_every_format_is_read(tmp_path, suffix):
    file = tmp_path / f"picture.{suffix}"
    if suffix == "heic":
        pillow_heif.from_pillow(halves()).save(file)
    else:
        halves().save(file)
    image = open_image(file)
    assert image.mode == "RGB" and image.size == (64, 32)
    assert near(image.getpixel((4, 16)), RED) and near(image.getpixel((60, 16)), GREEN)
    assert file.suffix in SUFFIXES


@pytest.mark.parametrize(("orientation", "size"), [(1, (64, 32)), (3, (64, 32)), (6, (32, 64))])
def test_orientation_is_applied(tmp_path, orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    halves().save(tmp_path / "a.jpg", exif=exif)
    image = open_image(tmp_path / "a.jpg")
    assert image.size == size
    expected = {1: RED, 3: GREEN, 6: RED}[orientation]  # the upper left corner
    assert near(image.getpixel((2, 2)), expected)


def test_transparency_lies_over_white(tmp_path):
    layer = halves().convert("RGBA")
    layer.putalpha(Image.new("L", layer.size, 0))
    layer.save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").getpixel((4, 4)) == (255, 255, 255)


def test_transparent_palette_lies_over_white(tmp_path):
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, *RED])
    palette.save(tmp_path / "a.gif", transparency=0)
    assert open_image(tmp_path / "a.gif").getpixel((4, 4)) == (255, 255, 255)


def test_cmyk_becomes_rgb(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red, green, blue = open_image(tmp_path / "a.jpg").getpixel((4, 4))
    assert red > 200 and green < 60 and blue < 60


def test_sixteen_bits_become_eight(tmp_path):
    ramp = np.array([[0, 257 * 100, 65535]], np.uint16)
    Image.fromarray(ramp).save(tmp_path / "a.png")
    pixels = np.asarray(open_image(tmp_path / "a.png"))
    assert np.abs(pixels[0, :, 0].astype(int) - [0, 100, 255]).max() <= 1


def test_dark_sixteen_bits_stay_dark(tmp_path):
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(tmp_path / "a.tif")
    assert np.asarray(open_image(tmp_path / "a.tif")).max() <= 1


def test_float_pixels_of_0_to_1_become_0_to_255(tmp_path):
    Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / "a.tif")
    assert np.abs(np.asarray(open_image(tmp_path / "a.tif"))[0, :, 0] - [0, 127, 255.0]).max() <= 1


def test_the_first_frame_of_an_animation_is_taken(tmp_path):
    frames = [Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), GREEN)]
    for suffix in ("gif", "webp", "png"):
        file = tmp_path / f"a.{suffix}"
        frames[0].save(file, save_all=True, append_images=frames[1:])
        assert near(open_image(file).getpixel((4, 4)), RED), suffix


def test_bytes_are_read_like_files(photos):
    file = photos / "cat.jpg"
    assert open_image(file.read_bytes()).tobytes() == open_image(file).tobytes()


def test_the_given_image_stays_as_it_is():
    image = halves()
    changed = to_rgb(image)
    changed.paste((0, 0, 0), (0, 0, 64, 32))
    assert near(image.getpixel((4, 4)), RED)


def test_an_image_that_is_damaged_where_it_is_read_last_is_named():
    with (
        Image.open(BytesIO(truncated())) as lazy,
        pytest.raises(ImageError, match="^it: .*truncat"),
    ):
        to_rgb(lazy, name="it")


@pytest.mark.parametrize("suffix", ["gif", "jpg"])
def test_the_words_of_a_file_do_not_come_along(tmp_path, suffix):
    file = tmp_path / f"a.{suffix}"
    halves().save(file, comment=b"x" * 60_000)
    with Image.open(file) as lazy:
        assert lazy.info["comment"]
        assert to_rgb(lazy).info == {} and lazy.info["comment"]
    image = open_image(file)
    image.save(tmp_path / "again.jpg")
    assert (tmp_path / "again.jpg").stat().st_size < 5_000


def truncated() -> bytes:
    buffer = BytesIO()
    Image.effect_noise((200, 200), 90).save(buffer, "JPEG")
    return buffer.getvalue()[:3000]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"this is a shopping list", "not an image that can be read"),
        (truncated(), "truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), ""),
    ],
)
def test_unreadable_files_are_named(tmp_path, content, reason):
    file = tmp_path / "bad.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=f"bad.jpg: .*{reason}") as caught:
        open_image(file)
    assert "\n" not in str(caught.value)


def test_a_mislabelled_image_is_read_all_the_same(tmp_path):
    file = tmp_path / "really-a-png.jpg"
    halves().save(file, "PNG")
    assert near(open_image(file).getpixel((4, 4)), RED)


def test_a_pixel_bomb_is_refused_before_it_is_decoded(tmp_path):
    file = tmp_path / "bomb.png"
    Image.new("1", (30_000, 30_000)).save(file)
    with pytest.raises(ImageError, match="200,000,000 pixels"):
        open_image(file)


def test_what_is_slightly_too_large_is_refused_whatever_the_host_allows(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    image = Image.new("1", (20_000, 10_001))
    image.save(tmp_path / "a.png")
    with pytest.raises(ImageError, match="20000 x 10001 pixels is too large"):
        open_image(tmp_path / "a.png")
    with pytest.raises(ImageError, match="20000 x 10001 pixels is too large"):
        to_rgb(image)


@pytest.mark.parametrize(
    ("short_side", "size"),
    [(None, (4000, 3000)), (500, (2000, 1500)), (501, (4000, 3000)), (224, (1000, 750))],
)
def test_a_large_jpeg_is_decoded_to_at_least_three_times_the_pixels(tmp_path, short_side, size):
    halves((4000, 3000)).save(tmp_path / "a.jpg")
    image = open_image(tmp_path / "a.jpg", short_side=short_side)
    assert image.size == size
    assert near(image.getpixel((9, 9)), RED) and near(image.getpixel((size[0] - 9, 9)), GREEN)


def test_an_image_at_our_limit_which_is_beyond_pillows_is_read(tmp_path):
    size = (20_000, 10_000)
    Image.new("1", size).save(tmp_path / "a.png")
    assert open_image(tmp_path / "a.png").size == size


@pytest.mark.parametrize("name", ["a.eps", "a.jpg"])
def test_no_program_is_started_for_an_image(tmp_path, monkeypatch, name):
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch '{started}'")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / name).write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")
    with pytest.raises(ImageError, match="not an image that can be read"):
        open_image(tmp_path / name)
    assert not started.exists()


def test_formats_that_need_nothing_else_are_read(tmp_path):
    for suffix in ("ico", "jp2", "ppm", "qoi"):
        halves().save(tmp_path / f"a.{suffix}")
        assert near(open_image(tmp_path / f"a.{suffix}").getpixel((4, 8)), RED), suffix


def test_odd_metadata_is_no_reason_to_refuse_an_image(tmp_path):
    about = PngInfo()
    about.add_text("Raw profile type exif", "\nexif\n  9\nno hexadecimal digits")
    halves().save(tmp_path / "a.png", pnginfo=about)
    assert open_image(tmp_path / "a.png").size == (64, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_becomes_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    halves().save(tmp_path / "a.png", exif=exif)
    expected = ImageOps.exif_transpose(Image.open(tmp_path / "a.png"))
    assert open_image(tmp_path / "a.png").tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "I;16", "F"])
def test_large_images_are_converted_like_small_ones(mode):
    noise = np.random.default_rng(1).integers(0, 256, (1100, 2000, 4), np.uint8)
    image = Image.fromarray(noise).convert("LA" if mode == "LA" else "RGBA")
    if mode == "P":
        image = image.convert("RGB").quantize(9)
        image.info["transparency"] = 3
    elif mode != image.mode and mode != "LA":
        image = image.convert("L").convert(mode)
    twice = image.crop((0, 0, 2000, 2200))
    twice.paste(image, (0, 1100))
    # Twice the image is converted in two bands.
    assert 2000 * 1100 < BAND_PIXELS < 2000 * 2200
    assert to_rgb(twice).tobytes() == 2 * to_rgb(image).tobytes()


def test_floats_that_are_no_numbers_are_black_or_white(tmp_path):
    pixels = np.array([[np.nan, -np.inf, np.inf, 1.0]], np.float32)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    assert np.asarray(open_image(tmp_path / "a.tif"))[0, 1:, 0].tolist() == [0, 255, 255]


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # nobody writes to it
    for read in (open_image, content_hash):
        with pytest.raises(ImageError, match="pipe.jpg: not a regular file"):
            read(tmp_path / "pipe.jpg")
        with pytest.raises(ImageError, match="/dev/zero: not a regular file"):
            read(Path("/dev/zero"))


def test_hash_is_sha256_of_the_bytes(tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"x")
    assert content_hash(tmp_path / "b.jpg") == hashlib.sha256(b"x").digest()
    with pytest.raises(ImageError, match=r"gone.jpg: No such file"):
        content_hash(tmp_path / "gone.jpg")


def test_threads_that_decode_leave_warnings_on(photos):
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(open_image, [photos / "cat.jpg"] * 64))
    assert warnings.filters == before
