"""What is done to sound images: damage at random, lies in headers, bombs, and other files' bytes.

Everything is drawn from one `random.Random`, so that a seed makes the same files again.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random

from PIL import Image

from lookalike.images.walk import SUFFIXES
from tests.fuzz.bombs import BOMBS, LIGHT_BOMBS
from tests.fuzz.originals import PNG_START, chunk, originals, saved

Mutation = Callable[[Random, bytes], bytes]

SOUND = "sound"
ODD_SIZES = (0, 1, 2, 7, 255, 4096, 32767, 65535, 65536, 2**24 - 1, 2**31 - 1, 2**32 - 1)
TIFF_SIZES = {"B": 1, "H": 2, "I": 4, "Q": 8}


def write_files(folder: Path, n_files: int, seed: int, *, heavy: bool = True) -> list[Path]:
    """Write mutated images; a name tells the file's number, what was done, and to which image.

    heavy: whether there are bombs, of which one can take seconds.
    """
    bases = originals()
    paths = []
    for number in range(n_files):
        rng = Random(f"{seed}/{number}")
        what, base, content = _mutated(rng, bases, heavy=heavy)
        suffix = Path(base).suffix
        if suffix not in SUFFIXES or rng.random() < 0.1:
            suffix = rng.choice(sorted(SUFFIXES))
        path = folder / f"{number:05}-{what}-{Path(base).stem}{suffix}"
        path.write_bytes(content)
        paths.append(path)
    return paths


def _mutated(rng: Random, bases: Mapping[str, bytes], *, heavy: bool) -> tuple[str, str, bytes]:
    """Return what was done, to which image, and the bytes."""
    of = rng.choice(sorted({_format(content) for content in bases.values()}))
    base = rng.choice([name for name, content in bases.items() if _format(content) == of])
    content = bases[base]
    kind = rng.random()
    if kind < 0.03:
        return SOUND, base, content
    if kind < 0.06:
        name = rng.choice(sorted(FOREIGN))
        return name, base, FOREIGN[name](rng)
    if kind < 0.09:
        other = bases[rng.choice(sorted(bases))]
        return "header", base, _other_header(rng, content, other)
    if kind < 0.11:
        name = rng.choice(sorted(BOMBS if heavy else LIGHT_BOMBS))
        return name, base, (BOMBS if heavy else LIGHT_BOMBS)[name](rng)
    of_format = OF_FORMAT.get(_format(content), ())
    if of_format and kind < 0.6:
        mutation = rng.choice(of_format)
        return mutation.__name__.strip("_"), base, mutation(rng, content)
    mutations = rng.choices(DAMAGES, k=rng.choice((1, 1, 1, 2, 4)))
    for mutation in mutations:
        content = mutation(rng, content)
    if _format(content) == "png" and rng.random() < 0.7:
        content = sealed(content)
    return mutations[0].__name__.strip("_"), base, content


def _format(content: bytes) -> str:
    return next((name for name, start in STARTS.items() if re.match(start, content, re.S)), "")


STARTS = {
    "jpeg": rb"\xff\xd8",
    "png": rb"\x89PNG",
    "gif": rb"GIF8",
    "bmp": rb"BM|\x28\0\0\0",
    "tiff": rb"II\*|MM|II\+",
    "webp": rb"RIFF....WEBP",
    "heif": rb"....ftyp",
}


# Damage to any file


def _place(rng: Random, content: bytes) -> int:
    """Return a place to do something at, often near the start, where the headers are."""
    end = len(content) if rng.random() < 0.5 else min(len(content), 200)
    return rng.randrange(end) if end else 0


def _flip_bits(rng: Random, content: bytes) -> bytes:
    mutated = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if mutated:
            mutated[_place(rng, content)] ^= 1 << rng.randrange(8)
    return bytes(mutated)


def _overwrite(rng: Random, content: bytes) -> bytes:
    start, length = _place(rng, content), rng.choice((1, 2, 4, 16, 300))
    run = rng.choice((rng.randbytes(length), b"\xff" * length, bytes(length)))
    return content[:start] + run + content[start + length :]


def _truncate(rng: Random, content: bytes) -> bytes:
    return content[: _place(rng, content)]


def _insert(rng: Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + rng.randbytes(rng.choice((1, 2, 50, 5000))) + content[start:]


def _leave_out(rng: Random, content: bytes) -> bytes:
    start = _place(rng, content)
    return content[:start] + content[start + rng.choice((1, 2, 50, 500)) :]


def _repeat(rng: Random, content: bytes) -> bytes:
    start, end = sorted((_place(rng, content), _place(rng, content)))
    return content[:end] + content[start:end] * rng.choice((1, 3, 20)) + content[end:]


def _odd_number(rng: Random, content: bytes) -> bytes:
    """Put a number where one may be: a length, a count, an offset."""
    code = rng.choice("<>") + rng.choice("HI")
    number = rng.choice(ODD_SIZES) % 2 ** (8 * struct.calcsize(code))
    start = _place(rng, content)
    return content[:start] + struct.pack(code, number) + content[start + struct.calcsize(code) :]


def _other_header(rng: Random, content: bytes, other: bytes) -> bytes:
    length = rng.choice((4, 12, 32, 100, 600))
    return other[:length] + content[length:]


DAMAGES: list[Mutation] = [
    *(_flip_bits, _overwrite, _truncate, _insert, _leave_out, _repeat, _odd_number),
]


# Lies that one format alone can tell


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    start = len(PNG_START)
    while start + 8 <= len(content):
        length, name = struct.unpack_from(">I4s", content, start)
        yield name, content[start + 8 : start + 8 + length]
        start += length + 12


def sealed(content: bytes) -> bytes:
    """Return a PNG with the right checksums, so that what was done to it is seen."""
    parts = [chunk(name, data) for name, data in _chunks(content)]
    return content[: len(PNG_START)] + b"".join(parts)


def _png_header(rng: Random, content: bytes) -> bytes:
    header = bytearray(content[16:29])
    if rng.random() < 0.5:
        struct.pack_into(">I", header, rng.choice((0, 4)), rng.choice(ODD_SIZES))
    else:
        header[rng.randrange(8, 13)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
    return content[:8] + chunk(b"IHDR", bytes(header)) + content[33:]


def _png_chunks(rng: Random, content: bytes) -> bytes:
    """Damage, repeat, leave out or move chunks, with right checksums."""
    chunks = list(_chunks(content))
    number = rng.randrange(len(chunks))
    name, data = chunks[number]
    what = rng.randrange(4)
    if what == 0:
        chunks[number] = name, _flip_bits(rng, data)
    elif what == 1:
        chunks.insert(rng.randrange(len(chunks)), chunks[number])
    elif what == 2:
        del chunks[number]
    else:
        rng.shuffle(chunks)
    return PNG_START + b"".join(chunk(*each) for each in chunks)


def _png_metadata(rng: Random, content: bytes) -> bytes:
    """Add chunks of metadata that are enormous, or become so."""
    zeros = zlib.compress(bytes(rng.choice((10**5, 10**7, 10**8))), 9)
    added = rng.choice(
        (
            chunk(b"iCCP", b"profile\0\0" + zeros),
            chunk(b"zTXt", b"comment\0\0" + zeros) * rng.choice((1, 20)),
            chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros),
            chunk(b"eXIf", b"Exif\0\0" + rng.randbytes(10**6)),
            chunk(b"acTL", struct.pack(">II", 2**31, 0)) + chunk(b"fcTL", rng.randbytes(26)),
            chunk(b"tRNS", rng.randbytes(rng.choice((1, 2, 6, 256)))),
        )
    )
    return content[:33] + added + content[33:]


def _jpeg_size(rng: Random, content: bytes) -> bytes:
    """Lie about the size or the components in the frame's header."""
    found = re.search(rb"\xff[\xc0-\xc3]\0.", content, re.S)
    if found is None:
        return content
    mutated = bytearray(content)
    if rng.random() < 0.5:
        size = rng.choice(ODD_SIZES) % 65536
        struct.pack_into(">H", mutated, found.start() + rng.choice((5, 7)), size)
    else:
        mutated[found.start() + rng.randrange(4, 20)] = rng.randrange(256)
    return bytes(mutated)


def _jpeg_metadata(rng: Random, content: bytes) -> bytes:
    """Add segments of metadata as large as they can be."""
    start, name = rng.choice(
        ((b"Exif\0\0MM\0*\0\0\0\x08", 0xE1), (b"ICC_PROFILE\0\1\xff", 0xE2), (b"MPF\0II*\0", 0xE2))
    )
    data = start + rng.randbytes(65533 - len(start))
    return content[:2] + struct.pack(">BBH", 0xFF, name, 65535) * 1 + data + content[2:]


def _jpeg_many_scans(rng: Random, content: bytes) -> bytes:
    """Repeat scans: each is decoded over the whole image."""
    found = re.search(rb"\xff\xda.*", content, re.S)
    if found is None:
        return content
    scan = found[0].removesuffix(b"\xff\xd9")
    return content[: found.start()] + scan * rng.choice((2, 100, 1000)) + b"\xff\xd9"


def _jpeg_orientation(rng: Random, content: bytes) -> bytes:
    """Add EXIF with an orientation of any type and value."""
    kind, count = rng.randrange(14), rng.choice((0, 1, 2, 2**31))
    entry = struct.pack(">HHII", 0x0112, kind, count, rng.choice(ODD_SIZES))
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 1) + entry + bytes(4)
    return content[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(exif) + 2) + exif + content[2:]


def _gif_size(rng: Random, content: bytes) -> bytes:
    mutated = bytearray(content)
    places = [6, 8] + [found.start() + 5 for found in re.finditer(rb",\0\0\0\0", content)]
    struct.pack_into("<H", mutated, rng.choice(places), rng.choice(ODD_SIZES) % 65536)
    return bytes(mutated)


def _bmp_header(rng: Random, content: bytes) -> bytes:
    mutated = bytearray(content)
    start = 14 if content[:2] == b"BM" else 0
    if rng.random() < 0.5:
        place, number = rng.choice((4, 8, 20, 32)), rng.choice(ODD_SIZES)
        struct.pack_into("<I", mutated, start + place, number)
    else:
        struct.pack_into("<H", mutated, start + rng.choice((14, 16)), rng.randrange(40))
    return bytes(mutated)


def _tiff_entry(rng: Random, content: bytes) -> bytes:
    """Lie in one entry of a directory: its type, its count or its value."""
    order = "<" if content[:2] == b"II" else ">"
    is_big = content[2] == 43
    (start,) = struct.unpack_from(order + ("Q" if is_big else "I"), content, 8 if is_big else 4)
    head, length = (8, 20) if is_big else (2, 12)
    (count,) = struct.unpack_from(order + ("Q" if is_big else "H"), content, start)
    place = start + head + length * rng.randrange(max(1, min(count, 40)))
    code = rng.choice("HI")
    place += rng.choice((2, 4, 8, 8, 12 if is_big else 8))
    if place + 4 > len(content):
        return content
    mutated = bytearray(content)
    number = rng.choice((*ODD_SIZES, rng.randrange(70000))) % 2 ** (8 * TIFF_SIZES[code])
    struct.pack_into(order + code, mutated, place, number)
    return bytes(mutated)


def _webp_size(rng: Random, content: bytes) -> bytes:
    """Lie about the canvas, a frame, or the length of a chunk."""
    mutated = bytearray(content)
    names = [found.start() for found in re.finditer(rb"VP8[X L]|ANMF|ALPH", content)]
    place = rng.choice(names) + rng.choice((4, 8, 9, 12, 14, 15, 20))
    struct.pack_into("<I", mutated, min(place, len(mutated) - 4), rng.choice(ODD_SIZES))
    return bytes(mutated)


def _webp_metadata(rng: Random, content: bytes) -> bytes:
    data = b"Exif\0\0MM\0*" + rng.randbytes(2 * 10**6)
    extended = b"VP8X" + struct.pack("<II", 10, 0x2C) + struct.pack("<IH", 119, 89 << 8)
    parts = extended + content[12:] + b"EXIF" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(parts) + 4) + b"WEBP" + parts


def _heif_box(rng: Random, content: bytes) -> bytes:
    """Lie in a box: its length, or what comes after its name."""
    names = rb"ispe|iloc|iinf|ipma|iprp|pixi|hvcC|av1C|iref|irot|imir|clap|auxC|meta|mdat|stsz|tkhd"
    places = [found.start() for found in re.finditer(names, content)]
    place = rng.choice(places)
    if rng.random() < 0.3:
        place -= 4  # its length
    else:
        place += rng.randrange(4, 24)
    mutated = bytearray(content)
    code = rng.choice((">I", ">H", ">B"))
    number = rng.choice(ODD_SIZES) % 2 ** (8 * struct.calcsize(code))
    struct.pack_into(code, mutated, min(place, len(mutated) - 4), number)
    return bytes(mutated)


def _heif_size(rng: Random, content: bytes) -> bytes:
    """Lie about the size of an image."""
    places = [found.end() + 4 for found in re.finditer(rb"ispe", content)]
    mutated = bytearray(content)
    place = rng.choice(places) + rng.choice((0, 4))
    struct.pack_into(">I", mutated, place, rng.choice((*ODD_SIZES, 10_000, 119)))
    return bytes(mutated)


OF_FORMAT: dict[str, tuple[Mutation, ...]] = {
    "png": (_png_header, _png_chunks, _png_metadata),
    "jpeg": (_jpeg_size, _jpeg_metadata, _jpeg_many_scans, _jpeg_orientation),
    "gif": (_gif_size,),
    "bmp": (_bmp_header,),
    "tiff": (_tiff_entry, _tiff_entry, _tiff_entry),
    "webp": (_webp_size, _webp_metadata),
    "heif": (_heif_box, _heif_box, _heif_size),
}


# Files that have nothing of an image, and files that have too much of it


def _eps(rng: Random) -> bytes:
    return (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 120 90\n%%EndComments\n"
        b"(started) (w) file closefile\n120 90 scale 0 0 1 1 rectfill showpage\n%%EOF\n"
    )


def _icon(rng: Random) -> bytes:
    inner = rng.choice((saved(Image.new("RGBA", (9, 9)), "PNG"), rng.randbytes(400)))
    entry = struct.pack("<BBBBHHII", 0, 0, 0, 0, 1, 32, rng.choice((len(inner), 2**32 - 1)), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + inner


def _photoshop(rng: Random) -> bytes:
    size = struct.pack(">II", rng.choice((1, 300_000)), rng.choice((1, 14_000)))
    return b"8BPS\0\1" + bytes(6) + b"\0\3" + size + b"\0\x08\0\3" + bytes(14) + bytes(500)


FOREIGN: dict[str, Callable[[Random], bytes]] = {
    "nothing": lambda rng: b"",
    "noise": lambda rng: rng.randbytes(rng.choice((1, 16, 5000))),
    "zeros": lambda rng: bytes(rng.choice((1, 100, 10**6))),
    "text": lambda rng: b"a shopping list\n" * rng.choice((1, 1000)),
    "eps": _eps,
    "eps-dos": lambda rng: struct.pack("<IIIIIIIH", 0xC6D3D0C5, 30, 200, 0, 0, 0, 0, 0) + _eps(rng),
    "svg": lambda rng: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc"/></svg>',
    "pdf": lambda rng: b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n%%EOF",
    "wmf": lambda rng: b"\xd7\xcd\xc6\x9a\0\0" + rng.randbytes(200),
    "fits": lambda rng: b"SIMPLE  =                    T".ljust(2880),
    "hdf5": lambda rng: b"\x89HDF\r\n\x1a\n" + rng.randbytes(100),
    "icon": _icon,
    "photoshop": _photoshop,
    "plain": lambda rng: b"P1 9999 9999 " + b"1 0 " * 500,
    "page": lambda rng: b"<html><title>404</title></html>",
    "archive": lambda rng: b"PK\3\4" + rng.randbytes(300),
}
