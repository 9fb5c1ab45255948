"""Make the photographs of ``examples/photos`` again, from the packages they came from.

    python examples/make_photos.py DEBIAN

DEBIAN  one folder in which ``dpkg -x`` unpacked the Debian 12 packages palapeli-data,
        lomiri-wallpapers-16.04 and gcompris-qt-data

scikit-image (0.26.0) and Pillow must be installed. Authors and licences: ``photos/SOURCES.md``.
"""

import argparse
import hashlib
import io
import re
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageCms, ImageEnhance, ImageOps

PHOTOS = Path(__file__).parent / "photos"
LONG_SIDE = 640
ORIENTATION = 0x0112  # the EXIF tag
SHOW_TURNED_CLOCKWISE = 6  # its value for "turn a quarter clockwise to show"
WINDMILL_SHA256 = "f88eafdf157464085b23887953257e36030dfd487e44256804cb2d408d5fee5d"
MOOSE_SHA256 = "2252a671c2e0ade9ce6ff6d41957348a81ebccfd952ba59bfddceff0b059ea48"


def plain(image: Image.Image) -> Image.Image:
    """The pixels alone, in sRGB: no EXIF, comment or colour profile comes along."""
    if profile := image.info.get("icc_profile"):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        image = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    image = image.copy()
    image.info.clear()
    return image


def part(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """A crop, its edges given as shares of the width and the height."""
    w, h = image.size
    return image.crop((round(left * w), round(top * h), round(right * w), round(bottom * h)))


def webp_in(resources: Path, sha256: str) -> Image.Image:
    """One picture of a Qt resource file (.rcc), which holds its WebP files as they are."""
    data = resources.read_bytes()
    for found in re.finditer(rb"RIFF(.{4})WEBP", data, re.DOTALL):
        length = 8 + int.from_bytes(found[1], "little")
        picture = data[found.start() : found.start() + length]
        if hashlib.sha256(picture).hexdigest() == sha256:
            return Image.open(io.BytesIO(picture))
    raise SystemExit(f"{resources.name} does not hold the picture looked for")


def save(name: str, image: Image.Image, long_side: int = LONG_SIDE, quality: int = 85) -> None:
    image = plain(image)
    image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    image.save(PHOTOS / name, quality=quality, optimize=True)


def save_sideways(name: str, image: Image.Image) -> None:
    """Stored a quarter turn off, with the EXIF tag that tells a viewer to turn it back."""
    exif = Image.Exif()
    exif[ORIENTATION] = SHOW_TURNED_CLOCKWISE
    sideways = plain(image).transpose(Image.Transpose.ROTATE_90)
    sideways.save(PHOTOS / name, quality=70, exif=exif)


def from_scikit_image(data: Path) -> None:
    cat = plain(Image.open(data / "chelsea.png"))
    save("cat.jpg", cat)
    save("cat-crop.jpg", part(cat, 0.15, 0, 0.8, 0.95))
    save("cat-mirrored.jpg", ImageOps.mirror(cat))
    save("cat-dark.jpg", ImageEnhance.Brightness(cat).enhance(0.5))

    coffee = plain(Image.open(data / "coffee.png"))
    save("coffee.jpg", coffee)
    save("coffee-crop.jpg", part(coffee, 0.12, 0.05, 0.75, 0.85))
    save_sideways("coffee-rotated.jpg", coffee)

    rocket = plain(Image.open(data / "rocket.jpg"))
    save("rocket.jpg", rocket)
    save("rocket-small.jpg", rocket, long_side=240, quality=40)

    galaxies = plain(Image.open(data / "hubble_deep_field.jpg"))
    save("galaxies-left.jpg", part(galaxies, 0, 0, 0.5, 1), quality=80)
    save("galaxies-right.jpg", part(galaxies, 0.5, 0, 1, 1), quality=80)

    save("astronaut.jpg", Image.open(data / "astronaut.png"))
    save("photographer.jpg", Image.open(data / "camera.png"))
    save("bricks.png", Image.open(data / "brick.png"), long_side=400)
    save("grass.jpg", Image.open(data / "grass.png"), long_side=400, quality=80)
    save("gravel.jpg", Image.open(data / "gravel.png"), long_side=400, quality=80)


def from_debian(share: Path) -> None:
    puzzles = share / "palapeli" / "collection"
    bee = plain(Image.open(puzzles / "european-honey-bee.jpg"))
    save("bee.jpg", bee)
    save("bee-mirrored.jpg", ImageOps.mirror(bee), long_side=480)
    bridge = plain(Image.open(puzzles / "cincinnati-bridge.jpg"))
    save("bridge.jpg", bridge)
    save("bridge-tower.jpg", part(bridge, 0.25, 0, 0.7, 0.75), long_side=480)
    citrus = plain(Image.open(puzzles / "citrus-fruits.jpg"))
    save("citrus-left.jpg", part(citrus, 0, 0, 0.5, 1), long_side=480)
    save("citrus-right.jpg", part(citrus, 0.5, 0, 1, 1), long_side=480)

    dandelion = Image.open(share / "backgrounds" / "seeding_by_Clements_Engelhardt.jpg")
    save("dandelion.jpg", dandelion)
    save("dandelion-near.jpg", part(dandelion, 0.1, 0, 0.5, 0.75), long_side=480)

    resources = share / "gcompris-qt" / "rcc"
    save("moose.webp", webp_in(resources / "explore_world_animals.rcc", MOOSE_SHA256), quality=80)
    save("windmill.jpg", webp_in(resources / "categorization.rcc", WINDMILL_SHA256))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the photographs of examples/photos again.")
    parser.add_argument("debian", type=Path, help="folder in which dpkg -x unpacked the packages")
    args = parser.parse_args()
    skimage = find_spec("skimage")
    if skimage is None or skimage.origin is None:
        raise SystemExit("scikit-image is not installed")

    PHOTOS.mkdir(exist_ok=True)
    from_scikit_image(Path(skimage.origin).parent / "data")
    from_debian(args.debian / "usr" / "share")
    photos = [p for p in PHOTOS.iterdir() if p.suffix in {".jpg", ".png", ".webp"}]
    print(f"{photos.count()} photographs, {sum(p.stat().st_size for p in photos):,} bytes")


if __name__ == "__main__":
    main()
