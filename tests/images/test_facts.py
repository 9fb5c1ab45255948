"""What an image's header tells."""

from io import BytesIO

import pillow_heif
import pytest
from PIL import Image, PngImagePlugin

from lookalike.core.errors import ImageError
from lookalike.images.facts import read_facts
from tests.images.photographs import BERLIN, NIKON, exif, photograph

pillow_heif.register_heif_opener()
ALL = {
    "taken": "2024:05:01 12:30:05",
    "subsecond": "120",
    "offset": "+02:00",
    "place": BERLIN,
    **NIKON,
}
TOLD = {
    "taken_at": "2024-05-01T12:30:05.12+02:00",
    "camera": "NIKON D90",
    "width": 40,
    "height": 30,
    "latitude": 52.52,
    "longitude": 13.405,
}


def told(file):
    with file.open("rb") as content:
        return read_facts(content, name=str(file))


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        (".jpg", "jpeg"),
        (".png", "png"),
        (".webp", "webp"),
        (".tif", "tiff"),
        (".avif", "avif"),
        (".heic", "heic"),
    ],
)
def test_every_format_tells_what_was_written(tmp_path, suffix, kind):
    file = photograph(tmp_path / f"a{suffix}", **ALL)
    assert told(file) == TOLD | {"format": kind}


@pytest.mark.parametrize(("name", "kind"), [("a.gif", "gif"), ("a.bmp", "bmp"), ("a.jpg", "jpeg")])
def test_what_is_not_told_is_left_out(tmp_path, name, kind):
    Image.new("RGB", (7, 5)).save(tmp_path / name)
    assert told(tmp_path / name) == {"format": kind, "width": 7, "height": 5}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_sides_are_those_of_the_upright_picture(tmp_path, orientation):
    found = told(photograph(tmp_path / "a.jpg", orientation=orientation))
    expected = (30, 40) if orientation >= 5 else (40, 30)
    assert (found["width"], found["height"]) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"taken": "2024:05:01 12:30:05"}, "2024-05-01T12:30:05"),
        ({"taken": "2024:05:01 12:30:05", "subsecond": "000"}, "2024-05-01T12:30:05"),
        ({"taken": "2024:05:01 12:30:05", "subsecond": "7  "}, "2024-05-01T12:30:05.7"),
        ({"taken": "2024:05:01 12:30:05", "offset": "-05:30"}, "2024-05-01T12:30:05-05:30"),
        ({"taken": "2024:05:01 12:30:05", "offset": "local"}, "2024-05-01T12:30:05"),
        ({"taken": "0000:00:00 00:00:00"}, None),
        ({"taken": "2024:02:30 12:00:00"}, None),
        ({"taken": "yesterday"}, None),
        ({"offset": "+02:00"}, None),
    ],
)
def test_the_time_is_as_exact_as_it_is_given(tmp_path, tags, expected):
    assert told(photograph(tmp_path / "a.jpg", **tags)).get("taken_at") == expected


@pytest.mark.parametrize(
    ("make", "model", "expected"),
    [
        ("Canon", "Canon EOS 5D", "Canon EOS 5D"),
        ("SONY", "ILCE-7M3", "SONY ILCE-7M3"),
        ("OLYMPUS IMAGING CORP.  ", "E-M10", "OLYMPUS IMAGING CORP. E-M10"),
        ("Apple", None, "Apple"),
        (None, "Pixel 7", "Pixel 7"),
        ("  ", "\x07", None),
    ],
)
def test_a_camera_is_its_make_and_model_once(tmp_path, make, model, expected):
    found = told(photograph(tmp_path / "a.jpg", make=make, model=model))
    assert found.get("camera") == expected


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (((33.0, 51.0, 54.0), "S", (151.0, 12.0, 36.0), "E"), (-33.865, 151.21)),
        (((40.0, 42.6, 0.0), "N", (74.0, 0.36, 0.0), "W"), (40.71, -74.006)),
        (((95.0, 0.0, 0.0), "N", (0.0, 0.0, 0.0), "E"), None),
        (((1.0, 2.0, 3.0), "", (1.0, 2.0, 3.0), "E"), None),
    ],
)
def test_coordinates_are_degrees(tmp_path, place, expected):
    found = told(photograph(tmp_path / "a.jpg", place=place))
    there = (found["latitude"], found["longitude"]) if "latitude" in found else None
    assert there == (expected if expected is None else pytest.approx(expected, abs=1e-6))


def test_no_pixel_is_decoded(tmp_path):
    """A file that is cut off after its header tells all."""
    for suffix in (".jpg", ".png"):
        file = photograph(tmp_path / f"a{suffix}", size=(400, 300), **ALL)
        content = file.read_bytes()
        end = content.index(b"IDAT" if suffix == ".png" else b"\xff\xda") + 20
        file.write_bytes(content[:end])
        assert told(file)["camera"] == "NIKON D90"


def test_damaged_metadata_are_no_failure(tmp_path):
    file = tmp_path / "a.jpg"
    data = exif(**ALL).tobytes()
    for cut in range(6, len(data), 7):
        Image.new("RGB", (40, 30)).save(file, exif=data[:cut] + b"\xff" * (len(data) - cut))
        found = told(file)
        assert (found["format"], {found["width"], found["height"]}) == ("jpeg", {40, 30})


def test_what_is_no_image_is_told(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"a\.jpg: not an image that can be read"):
        told(tmp_path / "a.jpg")


def test_a_text_chunk_is_no_time():
    about = PngImagePlugin.PngInfo()
    about.add_text("DateTimeOriginal", "2024:05:01 12:30:05")
    file = BytesIO()
    Image.new("RGB", (2, 2)).save(file, "PNG", pnginfo=about)
    assert read_facts(file, name="a") == {"format": "png", "width": 2, "height": 2}
