"""Files of some kilobytes that ask for gigabytes."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from random import Random

from PIL import Image

from tests.fuzz.originals import PNG_START, chunk, saved


def _side(rng: Random) -> int:
    return rng.choice((3000, 6000, 9000, 14_000, 14_142, 14_143, 20_000, 65_000))


def _zeros(count: int) -> bytes:
    """Return what zlib makes of zeros, some kilobytes for a gigabyte, at once."""
    megabyte = 2**20
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(megabyte)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % megabyte)) + packer.flush()
    check = struct.pack(">HH", count % 65521, 1)
    return b"\x78\x9c" + block * (count // megabyte) + rest + check


def _png(width: int, height: int, bit_depth: int, colour_type: int, data: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    return PNG_START + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _png_bomb(rng: Random) -> bytes:
    """A PNG of one colour: some kilobytes that become up to 800 MB, or would become more."""
    side, (colour_type, channels) = _side(rng), rng.choice(((0, 1), (2, 3), (6, 4)))
    bit_depth = rng.choice((8, 8, 16))
    data = _zeros(side * (side * channels * bit_depth // 8 + 1))
    return _png(side, side, bit_depth, colour_type, data)


def _png_overlong(rng: Random) -> bytes:
    """A small PNG whose data goes on and on."""
    return _png(9, 9, 8, 2, _zeros(rng.choice((10**8, 10**9))))


def _tiff_bomb(rng: Random) -> bytes:
    """A TIFF of one strip that becomes up to 200 MB, or would become more."""
    side, kind = _side(rng), rng.choice((0, 1))
    data = _zeros(side * side)
    short, long = 3, 4
    entries = [
        (256, long, 1, side),
        (257, long, 1, side),
        (258, short, 1, 8),
        (259, short, 1, 8),
        (262, short, 1, kind),
        (273, long, 1, 8),
        (278, long, 1, side),
        (279, long, 1, len(data)),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    header = struct.pack("<2sHI", b"II", 42, 8 + len(data))
    return header + data + struct.pack("<H", len(entries)) + directory


def _gif_bomb(rng: Random) -> bytes:
    side = min(_side(rng), 6000)
    return saved(Image.new("L", (side, side)), "GIF")


def _webp_bomb(rng: Random) -> bytes:
    side = 3000
    image = Image.new("RGB", (side, side))
    return saved(image, "WEBP", lossless=True, method=0, quality=0)


def _long_and_thin(rng: Random) -> bytes:
    length = rng.choice((60_000, 10**6, 10**8))
    size = (1, length) if rng.random() < 0.5 else (length, 1)
    buffer = BytesIO()
    Image.new("1", size).save(buffer, "PNG")
    return buffer.getvalue()


LIGHT_BOMBS: dict[str, Callable[[Random], bytes]] = {"png-overlong": _png_overlong}
BOMBS: dict[str, Callable[[Random], bytes]] = {
    **LIGHT_BOMBS,
    "png-bomb": _png_bomb,
    "tiff-bomb": _tiff_bomb,
    "gif-bomb": _gif_bomb,
    "webp-bomb": _webp_bomb,
    "long-and-thin": _long_and_thin,
}
