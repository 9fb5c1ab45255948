"""RAW files: real DNGs, read by rawpy, and what is said without it."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.images import raw as module
from lookalike.images.decode import image_size, open_image
from lookalike.images.facts import read_facts
from lookalike.images.raw import RAW_SUFFIXES, NeedsExtra, is_raw
from lookalike.images.walk import ImageWalk
from tests.images.dng import write_dng
from tests.images.photographs import NIKON, exif

SIZE = WIDTH, HEIGHT = (128, 96)


@pytest.fixture
def quarters():
    """Red and green above, blue and grey below."""
    colours = np.zeros((HEIGHT, WIDTH, 3))
    colours[: HEIGHT // 2, : WIDTH // 2] = (0.5, 0, 0)
    colours[: HEIGHT // 2, WIDTH // 2 :] = (0, 0.5, 0)
    colours[HEIGHT // 2 :, : WIDTH // 2] = (0, 0, 0.5)
    colours[HEIGHT // 2 :, WIDTH // 2 :] = (0.5, 0.5, 0.5)
    return colours


def quarter_names(image):
    """The colours of the quarters, row by row."""
    pixels = np.asarray(image)
    height, width, _ = pixels.shape
    names = []
    for row in (height // 4, 3 * height // 4):
        for column in (width // 4, 3 * width // 4):
            bright = tuple(pixels[row, column] > 100)
            names.append({(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue"}.get(bright))
    return names


# EXIF's definition of the orientations that cameras write.
@pytest.mark.parametrize(
    ("orientation", "names", "size"),
    [
        (1, ["red", "green", "blue", None], (64, 48)),
        (3, [None, "blue", "green", "red"], (64, 48)),
        (6, ["blue", "red", None, "green"], (48, 64)),
        (8, ["green", None, "red", "blue"], (48, 64)),
    ],
)
def test_a_mosaic_is_read_upright_at_half_its_size(tmp_path, quarters, orientation, names, size):
    file = write_dng(tmp_path / "a.dng", quarters, orientation=orientation)
    image = open_image(file)
    assert (image.size, quarter_names(image)) == (size, names)
    assert image_size(file) == (2 * size[0], 2 * size[1])


@pytest.mark.parametrize(
    ("preview", "short_side", "expected"),
    [
        ((120, 90), None, (120, 90)),  # more than half of the mosaic
        ((40, 30), None, (64, 48)),  # less
        ((40, 30), 10, (40, 30)),  # three times what is asked for
        ((40, 30), 12, (64, 48)),
        ((30, 40), 10, (64, 48)),  # of another shape: not this picture upright
    ],
)
def test_a_preview_is_taken_if_it_is_large_enough(
    tmp_path, quarters, preview, short_side, expected
):
    picture = Image.new("RGB", preview, "red")
    file = write_dng(tmp_path / "a.dng", quarters, preview=picture)
    image = open_image(file, short_side=short_side)
    assert image.size == expected
    of_preview = quarter_names(image) == ["red"] * 4
    assert of_preview == (expected == preview)


@pytest.mark.parametrize("tags", [{}, {"orientation": 6}])
def test_a_preview_is_turned_as_its_raw_file_is(tmp_path, quarters, tags):
    """Whether it says so itself or leaves it to the RAW file."""
    half = Image.new("RGB", (120, 90), "red")
    half.paste("blue", (0, 45, 120, 90))
    data = exif(**tags).tobytes() if tags else b""
    file = write_dng(tmp_path / "a.dng", quarters, orientation=6, preview=half, preview_exif=data)
    image = open_image(file)
    assert image.size == (90, 120)
    assert quarter_names(image) == ["blue", "red", "blue", "red"]


def test_bytes_are_known_without_a_name(tmp_path, quarters):
    content = write_dng(tmp_path / "a.dng", quarters).read_bytes()
    assert open_image(content).size == (64, 48)
    assert open_image(BytesIO(content), name="an upload").size == (64, 48)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"II*\0\x10\0\0\0CR\x02\0", True),
        (b"\0\0\0\x18ftypcrx ", True),
        (b"FUJIFILMCCD-RAW 0201", True),
        (b"IIRO\x08\0\0\0", True),
        (b"\0\0\0\x18ftypheic", False),
        (b"II*\0" + struct.pack("<I", 2**31), False),
        (b"II*\0\x08\0\0\0\xff\xff", False),
        (b"II", False),
        (b"", False),
    ],
)
def test_raw_files_are_known_by_their_content(content, expected):
    file = BytesIO(content)
    file.seek(1)
    assert is_raw(file) == expected and file.tell() == 1


def test_other_tiffs_are_no_raw_files(tmp_path):
    for order in ("a.tif", "b.tif"):
        Image.new("RGB", (8, 8)).save(tmp_path / order, exif=exif(**NIKON))
        with (tmp_path / order).open("rb") as file:
            assert not is_raw(file)


def test_what_is_cut_off_is_told(tmp_path, quarters):
    file = write_dng(tmp_path / "a.dng", quarters)
    file.write_bytes(file.read_bytes()[:400])
    with pytest.raises(ImageError, match=r"a\.dng: "):
        open_image(file)


def test_their_facts(tmp_path, quarters):
    file = write_dng(tmp_path / "a.dng", quarters, orientation=6, taken="2024:05:01 12:30:05")
    with file.open("rb") as content:
        assert read_facts(content, name="a") == {
            "taken_at": "2024-05-01T12:30:05",
            "camera": "Acme Raw 1",
            "format": "raw",
            "width": 96,
            "height": 128,
        }


def test_without_the_extra_they_are_no_images(tmp_path, quarters, monkeypatch):
    for suffix in sorted(RAW_SUFFIXES):
        write_dng(tmp_path / f"a{suffix.upper()}", quarters)
    assert len(list(ImageWalk([tmp_path]))) == len(RAW_SUFFIXES)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert list(ImageWalk([tmp_path])) == []
    with pytest.raises(NeedsExtra, match=r"a\.DNG: a RAW file needs an extra: .*pip install .*raw"):
        open_image(tmp_path / "a.DNG")
