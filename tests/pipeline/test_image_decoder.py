"""Images decoded for those who show them: what comes back, and what a bad file costs."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest
from PIL import Image, ImageDraw

from lookalike import ImageDecoder, ImageError, InputError, LookalikeError
from lookalike.images.decode import MAX_PIXELS, open_image
from tests.pipeline.decoders import LIMIT, ORIGINALS, has_ended, wait_until


@pytest.fixture(scope="module")
def decoder() -> Iterator[ImageDecoder]:
    with ImageDecoder(time_limit=LIMIT) as shared:
        yield shared


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """The decoders that were started since the test began."""
    before = set(psutil.Process().children())
    return lambda: [each for each in psutil.Process().children() if each not in before]


def test_pixels_are_those_of_this_process(tmp_path, decoder):
    for name, content in ORIGINALS.items():
        file = tmp_path / name
        file.write_bytes(content)
        expected = np.asarray(open_image(file))
        for source in (file, str(file), content):
            image = decoder.decode(source)
            assert image.mode == "RGB" and np.array_equal(np.asarray(image), expected), name


@pytest.mark.parametrize(
    ("size", "fit", "expected"),
    [
        ((1600, 900), (400, 400), (400, 225)),
        ((900, 1600), (400, 200), (112, 200)),
        ((300, 200), (400, 400), (300, 200)),  # never larger
        ((4000, 3), (100, 100), (100, 1)),
    ],
)
def test_an_image_is_scaled_down_to_fit(tmp_path, decoder, size, fit, expected):
    Image.new("RGB", size, (9, 8, 7)).save(tmp_path / "a.png")
    image = decoder.decode(tmp_path / "a.png", fit=fit)
    assert image.size == expected
    assert image.getpixel((0, 0)) == (9, 8, 7)


def test_it_is_upright_before_it_is_scaled(tmp_path, decoder):
    picture = Image.new("RGB", (800, 400), "blue")
    ImageDraw.Draw(picture).rectangle((0, 0, 399, 399), fill="red")  # its left half
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: the left is on top
    picture.save(tmp_path / "a.jpg", exif=exif, quality=95, subsampling=0)
    image = decoder.decode(tmp_path / "a.jpg", fit=(100, 100))
    assert image.size == (50, 100)
    top, bottom = image.getpixel((25, 10)), image.getpixel((25, 90))
    assert top[0] > 240 and top[2] < 15 and bottom[0] < 15 and bottom[2] > 240


def test_a_scaled_picture_looks_as_the_whole_one(photos, decoder):
    whole = open_image(photos / "cat.jpg")
    whole.thumbnail((160, 160), Image.Resampling.LANCZOS)
    image = decoder.decode(photos / "cat.jpg", fit=(160, 160))
    assert image.size == whole.size
    difference = np.asarray(image, int) - np.asarray(whole, int)
    assert np.abs(difference).mean() < 2  # of 255


def test_a_large_jpeg_can_be_decoded_to_a_part_of_its_size(tmp_path, decoder):
    Image.effect_noise((1600, 1200), 50).save(tmp_path / "a.jpg")
    assert decoder.decode(tmp_path / "a.jpg", short_side=20).size == (200, 150)


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path):
    # Cut off behind its header: decoding it would tell that it is truncated.
    Image.new("RGB", (600, 500)).save(tmp_path / "a.png")
    cut = (tmp_path / "a.png").read_bytes()[:60]
    with ImageDecoder(max_pixels=299_999) as strict:
        for options in ({}, {"fit": (10, 10)}, {"short_side": 10}):
            with pytest.raises(ImageError, match=r"^the image: 600 x 500 pixels .* 299,999"):
                strict.decode(cut, **options)
    with ImageDecoder(max_pixels=300_000) as lenient:
        assert lenient.decode(tmp_path / "a.png").size == (600, 500)
        with pytest.raises(ImageError, match="truncated"):
            lenient.decode(cut)


def test_an_error_names_the_file(tmp_path, decoder):
    (tmp_path / "a.jpg").write_text("no image")
    with pytest.raises(ImageError, match=r"/a\.jpg: not an image that can be read$"):
        decoder.decode(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match=r"/gone\.jpg: No such file or directory$"):
        decoder.decode(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="^the image: the file is empty$"):
        decoder.decode(b"")


def test_many_threads_share_a_few_processes(photos, children):
    files = sorted(photos.glob("*.jpg"))[:8]
    expected = {file: decoded_here(file) for file in files}
    with ImageDecoder(processes=2, time_limit=LIMIT) as pool, ThreadPoolExecutor(8) as threads:
        images = threads.map(lambda file: (file, pool.decode(file, short_side=224)), files * 4)
        for file, image in images:
            assert np.array_equal(np.asarray(image), expected[file])
        started = children()
        assert 1 <= len(started) <= 2
    wait_until(lambda: all(map(has_ended, started)))


def decoded_here(file):
    return np.asarray(open_image(file, short_side=224))


def test_no_more_processes_are_started_than_are_needed(photos, children):
    with ImageDecoder(processes=3) as pool:
        assert children() == []
        for _ in range(3):
            pool.decode(photos / "cat.jpg", fit=(50, 50))
        assert len(children()) == 1


def test_a_crash_costs_one_file(photos, children):
    with ImageDecoder(processes=1, time_limit=LIMIT) as pool:
        pool.decode(photos / "cat.jpg")
        (child,) = children()
        child.suspend()  # as a decoder that hangs
        failed = []

        def decode() -> None:
            try:
                pool.decode(photos / "cat.jpg")
            except ImageError as error:
                failed.append(str(error))

        thread = threading.Thread(target=decode)
        thread.start()
        time.sleep(0.3)  # it has sent the file, and waits
        child.kill()
        thread.join(LIMIT)
        # Killed before it began, the file went to another process; there is no third outcome.
        assert not failed or "its decoder crashed (SIGKILL" in failed[0]
        assert pool.decode(photos / "cat.jpg", fit=(9, 9)).size == (9, 6)


def test_a_hang_costs_one_file(photos, children):
    with ImageDecoder(processes=1, time_limit=0.5) as pool:
        pool.decode(photos / "cat.jpg", fit=(9, 9))
        (child,) = children()
        child.suspend()
        with pytest.raises(ImageError, match=r"cat\.jpg: not decoded within 0\.5 seconds$"):
            pool.decode(photos / "cat.jpg")
        assert has_ended(child)
        pool.decode(photos / "cat.jpg", fit=(9, 9))


def test_closing_ends_what_runs_and_what_waits(photos, children):
    pool = ImageDecoder(processes=1, time_limit=LIMIT)
    pool.decode(photos / "cat.jpg")
    (child,) = children()
    child.suspend()
    with ThreadPoolExecutor(3) as threads:
        waiting = [threads.submit(pool.decode, photos / "cat.jpg") for _ in range(3)]
        time.sleep(0.3)
        pool.close()
        for each in waiting:
            with pytest.raises(LookalikeError, match="^the image decoder is closed"):
                each.result(LIMIT)
    assert children() == []
    with pytest.raises(LookalikeError, match="closed"):
        pool.decode(photos / "cat.jpg")
    pool.close()  # once more is harmless


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"processes": 0}, "^processes is 0"),
        ({"processes": 1.5}, "^processes is 1.5"),
        ({"time_limit": 0}, "not above zero"),
        ({"max_pixels": 0}, "^max_pixels is 0; give 1 to 200,000,000$"),
        ({"max_pixels": MAX_PIXELS + 1}, "^max_pixels is 200000001"),
    ],
)
def test_limits_that_cannot_be_used_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        ImageDecoder(**options)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (5, {}, "^an image is 5"),
        (b"x", {"fit": (0, 5)}, "^fit is 0; give 1 pixel"),
        (b"x", {"fit": 5}, "^fit is 5; give"),
        (b"x", {"fit": (5, 2.5)}, "^fit is 2.5"),
        (b"x", {"short_side": -1}, "^short_side is -1"),
        ("", {}, "a path is empty"),
    ],
)
def test_options_that_cannot_be_used_are_refused(decoder, source, options, message):
    with pytest.raises(InputError, match=message):
        decoder.decode(source, **options)
