"""The files of benchmarks.duplicates: photographs, drawings, what was made of them, and others.

Every file's name says what it is: FAMILY~NUMBER~GROUND~KIND.SUFFIX. Files of one family are one
picture. GROUND is photograph, drawing or other; KIND is original, or how it was made of the one.
"""

import hashlib
import io
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from benchmarks.dataset import CACHE
from benchmarks.embedded_model_mean import fetch
from benchmarks.real_images import EMPTY, Picture, pictures
from lookalike.core.errors import ImageError
from lookalike.images.decode import open_image

PHOTOGRAPHS = {"wallpapers", "gcompris", "samples"}
DRAWINGS = {"clip-art"}
SMALLEST_PHOTOGRAPH = 180  # pixels of the short side
LARGEST_SIDE = 1000
LARGEST_DRAWING = 600
# Of so many photographs one is taken, of the drawings too, so that it runs in minutes; and of one
# of so many drawings duplicates are made.
ONE_PHOTOGRAPH_IN = 8
ONE_DRAWING_IN = 2
ONE_IN = 44
SMALLEST_DUPLICATE = 32  # of a drawing: with fewer pixels a card does not show its suit
QUALITY = 90
ORIGINAL = "original"
KINDS = {
    "resized to 75%, 50%": ("resize75", "resize50"),
    "resized to 25%": ("resize25",),
    "JPEG quality 90, 70": ("jpeg90", "jpeg70"),
    "JPEG quality 50, 30": ("jpeg50", "jpeg30"),
    "PNG of 64 colours": ("palette",),
    "5% cropped": ("crop5",),
    "10% cropped": ("crop10",),
    "20% cropped": ("crop20",),
    "turned by 90°, 180°, 270°": ("turn90", "turn180", "turn270"),
    "mirrored": ("mirror",),
    "30% darker": ("dark",),
    "30% brighter": ("bright",),
    "with a caption": ("caption",),
}
TARGET = (
    *("resize75", "resize50", "resize25"),
    *("jpeg90", "jpeg70", "jpeg50", "jpeg30", "palette", "crop5"),
)

# One picture under several names, by its family's name; found by looking at what was found.
# Drawings are named by their path; those of the same pixels are of one family without this.
FAMILIES = {
    "elephants": ("Elephants.jpg", "Elephants_3840x2160.jpg", "Elephants_5640x3172.jpg"),
    "chessboard": ("chessboard_GRAY.png", "chessboard_RGB.png"),
    "pyramid": ("explore_monuments/838207", "categorization/2803155"),
    "monument": ("explore_monuments/2887789", "categorization/2707307"),
    "another monument": ("explore_monuments/3487864", "categorization/2832949"),
    "Mars": ("solar_system/129537", "gravity/32268"),
    "Neptune": ("solar_system/189078", "gravity/69177", "8_neptune.png"),
    "home 8": ("buildings/homes/home8.png", "computer/icons/lemon-theme/filesystems/home8.png"),
    "home 9": ("buildings/homes/home9.png", "computer/icons/lemon-theme/filesystems/home9.png"),
    "home 13": ("buildings/homes/home13.png", "computer/home13.png"),
    "home15": ("buildings/homes/home15.png", "computer/icons/lemon-theme/filesystems/home15.png"),
    "town house": ("buildings/homes/home1.png", "computer/home1.png", "cityhouse.png"),
    "home no. 0": ("buildings/homes/home0.png", "computer/icons/lemon-theme/filesystems/home0.png"),
    "home two": ("buildings/homes/home2.png", "computer/icons/lemon-theme/filesystems/home2.png"),
    "home 4": ("buildings/homes/home4.png", "computer/icons/lemon-theme/filesystems/home4.png"),
    "home 5": ("buildings/homes/home5.png", "computer/home5.png"),
    "home 6": ("buildings/homes/home6.png", "computer/home6.png"),
    "home 7": ("buildings/homes/home7.png", "computer/icons/lemon-theme/filesystems/home7.png"),
    "tree": ("plants/trees/evergreen/tree.png", "tree.png"),
    "castle": (
        "computer/icons/lemon-theme/filesystems/pinkhome3.png",
        "fairytale_castle.png",
    ),
    "lemon": ("food/fruit/lemon1.png", "lemon_slice.png"),
    "empty sheet": (
        "computer/icons/lemon-theme/mimetypes/empty.png",
        "computer/icons/lemon-theme/mimetypes/mime_empty.png",
    ),
    "Earth": ("solar_system/20395", "3_earth.png"),
}
FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}


@dataclass(frozen=True)
class File:
    """What a file's name says of it."""

    family: str
    number: str
    ground: str
    kind: str

    @classmethod
    def of(cls, name: str) -> "File":
        return cls(*Path(name).stem.split("~"))


def name_of(picture: Picture) -> str:
    """A name that no other picture has; that of a drawing is its path below openclipart/png."""
    if picture.group in DRAWINGS and isinstance(picture.source, Path):
        return picture.source.as_posix().rpartition("/openclipart/png/")[2]
    return picture.name if picture.group == "gcompris" else picture.name.rpartition("/")[2]


def folder_of(part: str) -> Path:
    """The folder of one half's files, `dev` or `test`, made once."""
    folder = CACHE / "duplicates-3" / part
    if folder.exists():
        return folder
    sources = CACHE / "sources"
    if not sources.exists():
        new = CACHE / "sources.new"
        fetch(new)
        new.rename(sources)
    new = folder.with_name(part + ".new")
    new.mkdir(parents=True, exist_ok=True)
    chosen = [p for p in pictures(sources) if half_of(p) == part]
    jobs = [(picture, number, new) for number, picture in enumerate(chosen)]
    with ProcessPoolExecutor() as processes:
        list(processes.map(write, *zip(*jobs, strict=True), chunksize=8))
    new.rename(folder)
    return folder


def half_of(picture: Picture) -> str:
    """`test` or `dev`: all of a family are in one."""
    name = name_of(picture)
    number = zlib.crc32(FAMILY_OF.get(name, f"{picture.group}/{picture.name}").encode())
    return "test" if number % 2 else "dev"


def write(picture: Picture, number: int, folder: Path) -> None:
    """Write the file of a picture and, of some, those of its duplicates."""
    try:
        image = open_image(picture.source, name=picture.name)
    except ImageError:
        return
    name = name_of(picture)
    pixels = hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()
    family = FAMILY_OF.get(name, pixels[:12])
    is_drawing = picture.group in DRAWINGS
    side = LARGEST_DRAWING if is_drawing else LARGEST_SIDE
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    rng = random.Random(zlib.crc32(picture.name.encode()))
    stem = f"{family}~{number}"
    place = zlib.crc32(name.encode()) // 2
    if is_drawing and place % ONE_DRAWING_IN:
        return
    if is_drawing:
        image.save(folder / f"{stem}~drawing~{ORIGINAL}.png", compress_level=1)
        if place % ONE_IN == 0:
            for kind, data in duplicates_of_drawing(image, rng):
                suffix = "jpg" if kind.startswith("jpeg") else "png"
                (folder / f"{stem}~drawing~{kind}.{suffix}").write_bytes(data)
        return
    contrast = np.asarray(image.convert("L")).std()
    is_small = min(image.size) < SMALLEST_PHOTOGRAPH
    if picture.group not in PHOTOGRAPHS or is_small or contrast < EMPTY:
        image.save(folder / f"{stem}~other~{ORIGINAL}.png", compress_level=1)
        return
    if place % ONE_PHOTOGRAPH_IN:
        return
    image.save(folder / f"{stem}~photograph~{ORIGINAL}.jpg", quality=95)
    for kind, data in duplicates_of_photograph(image, rng):
        (folder / f"{stem}~photograph~{kind}.jpg").write_bytes(data)


def duplicates_of_drawing(image: Image.Image, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Its kinds and the bytes of their files: JPEGs, and else PNGs."""
    for percent in (75, 50, 25):
        size = image.width * percent // 100, image.height * percent // 100
        if min(size) >= SMALLEST_DUPLICATE:
            yield f"resize{percent}", encoded(image.resize(size, Image.Resampling.LANCZOS), "PNG")
    for quality in (90, 70, 50, 30):
        yield f"jpeg{quality}", encoded(image, "JPEG", quality)
    yield "palette", encoded(image.quantize(64), "PNG")
    yield "crop5", encoded(cropped(image, 5, rng), "PNG")


def duplicates_of_photograph(image: Image.Image, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Its kinds and the bytes of their JPEGs."""
    turns = {90: "ROTATE_90", 180: "ROTATE_180", 270: "ROTATE_270"}
    made: dict[str, Image.Image] = {}
    for percent in (75, 50, 25):
        size = image.width * percent // 100, image.height * percent // 100
        made[f"resize{percent}"] = image.resize(size, Image.Resampling.LANCZOS)
    for percent in (5, 10, 20):
        made[f"crop{percent}"] = cropped(image, percent, rng)
    for degrees, turn in turns.items():
        made[f"turn{degrees}"] = image.transpose(Image.Transpose[turn])
    made["mirror"] = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    made["dark"] = ImageEnhance.Brightness(image).enhance(0.7)
    made["bright"] = ImageEnhance.Brightness(image).enhance(1.3)
    made["caption"] = captioned(image, rng)
    for kind, duplicate in made.items():
        yield kind, encoded(duplicate, "JPEG", QUALITY)
    for quality in (90, 70, 50, 30):
        yield f"jpeg{quality}", encoded(image, "JPEG", quality)


def cropped(image: Image.Image, percent: int, rng: random.Random) -> Image.Image:
    """Without so much of its width and of its height, from a random place."""
    width, height = (round(side * (1 - percent / 100)) for side in image.size)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def encoded(image: Image.Image, kind: str, quality: int = QUALITY) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, quality=quality)
    return file.getvalue()


def captioned(image: Image.Image, rng: random.Random) -> Image.Image:
    """With a black bar of a seventh of its height, and words in it, at the top or bottom."""
    image, height = image.copy(), image.height // 7
    top = rng.choice([0, image.height - height])
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, top, image.width, top + height), "black")
    font = ImageFont.load_default(max(8, height * 2 // 3))
    draw.text((height // 4, top + height // 8), "WHEN THE CAT IS AWAY", "white", font)
    return image
