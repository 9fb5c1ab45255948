"""Scaled copies of image files."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import pytest
from PIL import Image

from lookalike import ImageDecoder, ImageError
from lookalike.web.disk_cache import DiskCache
from lookalike.web.thumbnails import Thumbnails


class CountingDecoder:
    """A real decoder that counts what it is asked."""

    def __init__(self, decoder):
        self.decoder = decoder
        self.asked = 0

    def decode(self, source, **options):
        self.asked += 1
        return self.decoder.decode(source, **options)


@pytest.fixture(scope="module")
def decoder():
    """A decoder for all tests here: its processes take a moment to start."""
    with ImageDecoder(processes=2) as decoder:
        yield decoder


@pytest.fixture
def counting(decoder):
    return CountingDecoder(decoder)


@pytest.fixture
def thumbnails(tmp_path, counting):
    return Thumbnails(DiskCache(tmp_path / "cache", 10**8), counting)


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    gradient = Image.linear_gradient("L").resize((1600, 800)).convert("RGB")
    gradient.save(path)
    return path


def test_it_fits_keeps_the_shape_and_is_webp(thumbnails, photo):
    made = thumbnails.get(photo)
    image = Image.open(BytesIO(made.content))
    assert image.format == "WEBP"
    assert image.size == (made.width, made.height) == (640, 320)
    preview = thumbnails.get(photo, "preview")
    assert (preview.width, preview.height) == (1600, 800)
    assert preview.etag != made.etag


def test_it_is_made_once(thumbnails, photo, counting, tmp_path):
    assert thumbnails.cached(photo) is None
    first = thumbnails.get(photo)
    assert thumbnails.cached(photo) == thumbnails.get(photo) == first
    again = Thumbnails(DiskCache(tmp_path / "cache", 10**8), counting)
    assert again.get(photo) == first
    assert counting.asked == 1


def test_requests_at_once_make_it_once(thumbnails, photo, counting):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(thumbnails.get, [photo] * 8))
    assert len(set(made)) == 1
    assert counting.asked == 1


def test_a_changed_file_is_made_anew(thumbnails, photo):
    first = thumbnails.get(photo)
    Image.new("RGB", (300, 300), "red").save(photo)
    second = thumbnails.get(photo)
    assert (second.width, second.height) == (300, 300)
    assert second.etag != first.etag


def test_its_size_is_known_without_reading_it(thumbnails, photo):
    status = photo.stat()
    asked = (photo, status.st_mtime_ns, status.st_size)
    assert thumbnails.size_of(*asked) is None
    thumbnails.get(photo)
    assert thumbnails.size_of(*asked) == (640, 320)
    assert thumbnails.size_of(photo, status.st_mtime_ns + 1, status.st_size) is None


def test_a_broken_file_is_tried_once_until_it_changes(thumbnails, photo, counting):
    whole = photo.read_bytes()
    photo.write_bytes(whole[: len(whole) // 2])
    for _ in range(3):
        with pytest.raises(ImageError, match="photo.png"):
            thumbnails.get(photo)
    assert counting.asked == 1
    with pytest.raises(ImageError):
        thumbnails.cached(photo)
    photo.write_bytes(whole)
    assert thumbnails.get(photo).width == 640


def test_a_broken_file_is_tried_again_later(thumbnails, photo, counting, monkeypatch):
    photo.write_bytes(photo.read_bytes()[:100])
    with pytest.raises(ImageError):
        thumbnails.get(photo)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3600)
    with pytest.raises(ImageError):
        thumbnails.get(photo)
    assert counting.asked == 2


def test_a_file_that_is_gone(thumbnails, tmp_path, counting):
    with pytest.raises(ImageError, match="No such file"):
        thumbnails.get(tmp_path / "none.jpg")
    assert counting.asked == 0


def test_bytes_are_kept_by_their_hash(thumbnails, photo, counting):
    made = thumbnails.get_bytes("a" * 64, photo.read_bytes())
    assert thumbnails.cached_bytes("a" * 64) == made
    assert thumbnails.cached_bytes("b" * 64) is None
    assert counting.asked == 1


def test_names_that_are_no_utf_8_and_turned_photographs(thumbnails, tmp_path):
    path = tmp_path / os.fsdecode(b"turned \xff.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100), "blue").save(path, exif=exif)
    made = thumbnails.get(path)
    assert (made.width, made.height) == (100, 200)


def test_a_page_of_them_is_small(thumbnails, photos, tmp_path):
    """Photographs of this size, of which some are all texture: 30 near 300 kB."""
    sizes = []
    for path in sorted(photos.glob("*.[jp][pn]g")):
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        sizes.append(len(thumbnails.get(copy).content))
    assert len(sizes) > 20
    assert 30 * sum(sizes) / len(sizes) < 310_000
