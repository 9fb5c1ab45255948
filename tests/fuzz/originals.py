"""Sound images of every format that is read, made here: what the fuzz starts from."""

import re
import struct
import zlib
from collections.abc import Iterator
from io import BytesIO

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

from tests.places import PHOTOS

PNG_START = b"\x89PNG\r\n\x1a\n"
PHOTO = PHOTOS / "cat.jpg"
SIZE = (120, 90)
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
"""x, y, step of x and step of y of each pass; the seventh is every other row."""

UPRIGHT, QUARTER_TURN = 1, 6


def originals() -> dict[str, bytes]:
    """Return images by their file names."""
    with Image.open(PHOTO) as file:
        photo = file.convert("RGB").resize(SIZE)
    return {
        **dict(_jpegs(photo)),
        **dict(_pngs(photo)),
        **dict(_tiffs(photo)),
        **dict(_others(photo)),
    }


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of an image file in one of Pillow's formats."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _frames(photo: Image.Image) -> list[Image.Image]:
    return [photo.rotate(angle) for angle in (90, 180)]


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "a maker of cameras"
    return exif


def _jpegs(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    yield "baseline.jpg", saved(photo, "JPEG")
    yield "progressive.jpg", saved(photo, "JPEG", progressive=True, quality=90)
    yield "grey.jpeg", saved(photo.convert("L"), "JPEG")
    yield "cmyk.jpg", saved(photo.convert("CMYK"), "JPEG")
    yield "rotated.jpg", saved(photo, "JPEG", exif=_exif(QUARTER_TURN), icc_profile=bytes(3000))
    yield "restarts.jpg", saved(photo, "JPEG", restart_marker_rows=1, subsampling=0)
    yield "frames.jpg", saved(photo, "MPO", save_all=True, append_images=_frames(photo))


def _pngs(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    pixels = np.asarray(photo)
    alpha = photo.convert("RGBA")
    alpha.putalpha(photo.convert("L"))
    yield "rgb.png", saved(photo, "PNG", exif=_exif(QUARTER_TURN), icc_profile=bytes(3000))
    yield "rgba.png", saved(alpha, "PNG")
    yield "grey-alpha.png", saved(alpha.convert("LA"), "PNG")
    yield "palette.png", saved(photo.quantize(64), "PNG", transparency=3)
    yield "bilevel.png", saved(photo.convert("1"), "PNG")
    yield "16-bit-grey.png", png(pixels[..., :1].astype(">u2") * 257, bit_depth=16, colour_type=0)
    yield "16-bit.png", png(pixels.astype(">u2") * 257, bit_depth=16, colour_type=2)
    yield "interlaced.png", png(pixels, bit_depth=8, colour_type=2, interlaced=True)
    yield "animated.png", saved(photo, "PNG", save_all=True, append_images=_frames(photo))


def _tiffs(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    for compression in ("raw", "tiff_lzw", "tiff_deflate", "packbits", "jpeg", "zstd", "lzma"):
        name = f"{compression.removeprefix('tiff_')}.tif"
        yield name, saved(photo, "TIFF", compression=compression)
    yield "group4.tiff", saved(photo.convert("1"), "TIFF", compression="group4")
    yield "pages.tiff", saved(photo, "TIFF", save_all=True, append_images=_frames(photo))
    yield "rotated.tif", saved(photo, "TIFF", exif=_exif(QUARTER_TURN), compression="tiff_lzw")
    yield "big.tif", saved(photo, "TIFF", big_tiff=True, compression="tiff_deflate")
    yield "cmyk.tif", saved(photo.convert("CMYK"), "TIFF", compression="tiff_lzw")
    yield "float.tif", saved(photo.convert("F"), "TIFF")
    yield "16-bit.tif", saved(photo.convert("I;16"), "TIFF", compression="tiff_deflate")
    yield "tiled.tif", tiled_tiff(np.asarray(photo), deflated=False)
    yield "tiled-deflate.tif", tiled_tiff(np.asarray(photo), deflated=True)


def _others(photo: Image.Image) -> Iterator[tuple[str, bytes]]:
    alpha = photo.convert("RGBA")
    alpha.putalpha(photo.convert("L"))
    many = {"save_all": True, "append_images": _frames(photo)}
    yield "lossy.webp", saved(photo, "WEBP", exif=_exif(QUARTER_TURN))
    yield "lossless.webp", saved(alpha, "WEBP", lossless=True)
    yield "animated.webp", saved(photo, "WEBP", **many)
    yield "still.gif", saved(photo.quantize(32), "GIF", transparency=3)
    yield "animated.gif", saved(photo, "GIF", **many)
    yield "rgb.bmp", saved(photo, "BMP")
    yield "palette.bmp", saved(photo.quantize(16), "BMP")
    yield "palette.dib", saved(photo.quantize(200), "DIB")
    yield "still.avif", saved(photo, "AVIF", speed=10, exif=_exif(QUARTER_TURN))
    yield "alpha.avif", saved(alpha, "AVIF", speed=10)
    yield "animated.avif", _timeless(saved(photo, "AVIF", speed=10, **many))
    yield "still.heic", _heif([photo])
    yield "alpha.heif", _heif([alpha])
    yield "frames.heic", _heif([photo, *_frames(photo)])
    yield "icon.ico", saved(photo.resize((64, 64)), "ICO", sizes=[(64, 64), (16, 16)])
    yield "wavelets.jp2", saved(photo, "JPEG2000")
    yield "plain.ppm", saved(photo, "PPM")
    yield "quite-ok.qoi", saved(alpha, "QOI")
    yield "layers.psd", psd(np.asarray(photo))


def _timeless(content: bytes) -> bytes:
    """Return a sequence without the times when it was made, so that it is always the same."""
    mutated = bytearray(content)
    for found in re.finditer(rb"mvhd|tkhd|mdhd", content):
        length = 16 if content[found.end()] == 1 else 8
        mutated[found.end() + 4 : found.end() + 4 + length] = bytes(length)
    return bytes(mutated)


def _heif(images: list[Image.Image]) -> bytes:
    file = pillow_heif.from_pillow(images[0])
    for image in images[1:]:
        file.add_from_pillow(image)
    buffer = BytesIO()
    file.save(buffer, quality=50)
    return buffer.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file, with its checksum."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(
    pixels: npt.NDArray[np.generic], *, bit_depth: int, colour_type: int, interlaced: bool = False
) -> bytes:
    """Return a PNG of pixels (height, width, channels); Pillow writes none that is interlaced."""
    passes = [*ADAM7, (0, 1, 1, 2)] if interlaced else [(0, 0, 1, 1)]
    rows = b"".join(
        b"\0" + row.tobytes() for x, y, right, down in passes for row in pixels[y::down, x::right]
    )
    height, width, _ = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, interlaced)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiled_tiff(pixels: npt.NDArray[np.uint8], *, deflated: bool, side: int = 64) -> bytes:
    """Return a TIFF of square tiles of pixels (height, width, 3), which Pillow does not write."""
    height, width, _ = pixels.shape
    down, right = -(-height // side), -(-width // side)
    padded = np.zeros((down * side, right * side, 3), np.uint8)
    padded[:height, :width] = pixels
    corners = [(y * side, x * side) for y in range(down) for x in range(right)]
    tiles = [padded[y : y + side, x : x + side].tobytes() for y, x in corners]
    if deflated:
        tiles = [zlib.compress(tile) for tile in tiles]
    start, places = 8, []
    for tile in tiles:
        places.append(start)
        start += len(tile)
    lists = struct.pack(f"<3H{2 * len(tiles)}I", 8, 8, 8, *places, *map(len, tiles))
    short, long = 3, 4
    entries = [
        (256, long, 1, width),
        (257, long, 1, height),
        (258, short, 3, start),
        (259, short, 1, 8 if deflated else 1),
        (262, short, 1, 2),
        (277, short, 1, 3),
        (322, long, 1, side),
        (323, long, 1, side),
        (324, long, len(tiles), start + 6),
        (325, long, len(tiles), start + 6 + 4 * len(tiles)),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    header = struct.pack("<2sHI", b"II", 42, start + len(lists))
    return header + b"".join(tiles) + lists + directory


def psd(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Return a Photoshop file of pixels (height, width, 3), without layers."""
    height, width, _ = pixels.shape
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, height, width, 8, 3)
    return header + bytes(12) + bytes(2) + pixels.transpose(2, 0, 1).tobytes()
