"""Computes the mean embedding that the embedded model subtracts, and measures what it is good for.

The images come from Debian 12 packages (photographs and renderings: plasma-workspace-wallpapers,
gnome-backgrounds, mate-backgrounds, lomiri-wallpapers-16.04, lomiri-wallpapers-20.04,
ukui-wallpapers, gcompris-qt-data; cut-outs: tuxpaint-stamps-default; clip-art: openclipart-png)
and from PyPI (photographs: scikit-image 0.26.0, scikit-learn 1.9.1, foolbox 3.3.4). Photographs
have seven tenths of the weight. On a Debian machine:

    python benchmarks/embedded_model_mean.py fetch FOLDER
    python benchmarks/embedded_model_mean.py compute FOLDER
    python benchmarks/embedded_model_mean.py evaluate FOLDER

`compute` writes src/lookalike/models/efficientnet/mean.npy. `evaluate` compares raw and
centred embeddings on labelled images, each time with a mean that never saw their source.
"""

import argparse
import io
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.models.base import FloatArray
from lookalike.models.efficientnet.model import EfficientNetLite2

WALLPAPERS = (
    "plasma-workspace-wallpapers",
    "gnome-backgrounds",
    "mate-backgrounds",
    "lomiri-wallpapers-16.04",
    "lomiri-wallpapers-20.04",
    "ukui-wallpapers",
)
DEBIAN = (
    *WALLPAPERS,
    "gcompris-qt-data",
    "tuxpaint-stamps-default",
    "openclipart-png",
)
PYPI = ("scikit-image==0.26.0", "scikit-learn==1.9.1", "foolbox==3.3.4")
MEAN_FILE = Path(__file__).parents[1] / "src/lookalike/models/efficientnet/mean.npy"
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
SMALLEST_SIDE = 64  # pixels; smaller ones are icons
CROPS = 8
CLIP_ART = 1500
SEED = 20240601
Image.MAX_IMAGE_PIXELS = None  # some of the clip-art is enormous

Labelled = Iterator[tuple[str, Image.Image]]


def open_rgb(file: Path | io.BytesIO) -> Image.Image:
    image = Image.open(file)
    image.load()
    if image.mode in ("P", "LA", "PA", "RGBA"):
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        image = Image.alpha_composite(white, layer)
    return image.convert("RGB")


def images_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def with_crops(image: Image.Image, rng: random.Random) -> Iterator[Image.Image]:
    """The image, and squares of 0.3 to 0.8 of its short side from random places."""
    yield image
    for _ in range(CROPS):
        side = round(min(image.size) * rng.uniform(0.3, 0.8))
        left, top = (rng.randint(0, length - side) for length in image.size)
        yield image.crop((left, top, left + side, top + side))


def wallpapers(folder: Path) -> Labelled:
    """Crops of the largest rendition of each wallpaper, labelled by the wallpaper."""
    rng = random.Random(SEED)
    largest: dict[Path, Path] = {}
    for package in WALLPAPERS:
        for path in images_under(folder / "debian" / package):
            if path.stem == "screenshot":
                continue
            one = next((p for p in path.parents if p.name == "contents"), path)
            largest[one] = max(largest.get(one, path), path, key=lambda p: p.stat().st_size)
    for key, path in largest.items():
        image = open_rgb(path)
        image.thumbnail((2000, 2000), Image.Resampling.BICUBIC)
        if min(image.size) >= 260:
            yield from ((str(key), crop) for crop in with_crops(image, rng))


def gcompris(folder: Path) -> Labelled:
    """The WebP photographs inside the resource files, labelled by the file."""
    for resource in sorted((folder / "debian" / "gcompris-qt-data").rglob("*.rcc")):
        data = resource.read_bytes()
        start = data.find(b"RIFF")
        while start >= 0:
            size = 8 + int.from_bytes(data[start + 4 : start + 8], "little")
            if data[start + 8 : start + 12] == b"WEBP":
                image = open_rgb(io.BytesIO(data[start : start + size]))
                if min(image.size) >= SMALLEST_SIDE:
                    yield resource.stem, image
            start = data.find(b"RIFF", start + 1)


def samples(folder: Path) -> Labelled:
    """Crops of the photographs in Python packages, labelled by the photograph."""
    rng = random.Random(SEED)
    for path in images_under(folder / "pypi"):
        image = open_rgb(path)
        if min(image.size) >= 200 and "mnist" not in path.name:
            yield from ((str(path), crop) for crop in with_crops(image, rng))


def stamps(folder: Path) -> Labelled:
    """Cut-out photographs and drawings over white, labelled by their folder."""
    root = folder / "debian" / "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for path in images_under(root):
        if "symbols" in path.parts:
            continue
        image = open_rgb(path)
        if min(image.size) >= SMALLEST_SIDE:
            yield str(path.parent.relative_to(root)), image


def clip_art(folder: Path) -> Labelled:
    """A sample of clip-art over white, labelled by its folder."""
    root = folder / "debian" / "openclipart-png/usr/share/openclipart/png"
    paths = [path for path in images_under(root) if "unsorted" not in path.parts]
    for path in sorted(random.Random(SEED).sample(paths, CLIP_ART)):
        image = open_rgb(path)
        if min(image.size) >= SMALLEST_SIDE:
            yield str(path.parent.relative_to(root)), image


@dataclass(frozen=True)
class Source:
    """Where images come from, and the weight of their mean in the whole."""

    images: Callable[[Path], Labelled]
    weight: float


SOURCES = {
    "wallpapers": Source(wallpapers, 0.30),
    "gcompris": Source(gcompris, 0.30),
    "samples": Source(samples, 0.10),
    "stamps": Source(stamps, 0.15),
    "clip-art": Source(clip_art, 0.15),
}


def fetch(folder: Path, packages: Iterable[str] = DEBIAN) -> None:
    debian, pypi = folder / "debian", folder / "pypi"
    for package in packages:
        debian.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "download", package], cwd=debian, check=True)
        (archive,) = debian.glob(f"{package}_*.deb")
        subprocess.run(["dpkg", "-x", archive, debian / package], check=True)
    for requirement in PYPI:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", pypi, requirement]
        subprocess.run(command, check=True)
    for wheel in sorted(pypi.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive_file:
            archive_file.extractall(pypi / wheel.stem)


def embed(model: EfficientNetLite2, images: Iterable[Image.Image]) -> FloatArray:
    """The global average pools of images, without any mean."""
    rows, batch = [], []
    for image in images:
        batch.append(model.preprocessing(image))
        if len(batch) == 16:
            rows.append(model.run("pooled", np.stack(batch)))
            batch = []
    if batch:
        rows.append(model.run("pooled", np.stack(batch)))
    return np.concatenate(rows)


def pools(folder: Path, name: str) -> tuple[FloatArray, list[str]]:
    """The raw embeddings and labels of one source, kept in the folder between runs."""
    kept = folder / f"{name}.npz"
    if not kept.exists():
        labels: list[str] = []

        def images() -> Iterator[Image.Image]:
            for label, image in SOURCES[name].images(folder):
                labels.append(label)
                yield image

        np.savez(kept, pools=embed(EfficientNetLite2(), images()), labels=labels)
    with np.load(kept) as file:
        return file["pools"], list(file["labels"])


def weighted_mean(folder: Path, *, without: str | None = None) -> FloatArray:
    names = [name for name in SOURCES if name != without]
    total = sum(SOURCES[name].weight for name in names)
    parts = [
        pools(folder, name)[0].mean(axis=0, dtype=np.float64) * SOURCES[name].weight / total
        for name in names
    ]
    return np.sum(parts, axis=0).astype(np.float32)


def compute(folder: Path) -> None:
    for name in SOURCES:
        print(f"{name}: {len(pools(folder, name)[1])} images")
    np.save(MEAN_FILE, weighted_mean(folder))
    print(f"wrote {MEAN_FILE.name}")


def evaluate(folder: Path) -> None:
    for name in SOURCES:
        raw, labels = pools(folder, name)
        kinds, kind = np.unique(labels, return_inverse=True)
        centred = raw - weighted_mean(folder, without=name)
        print(f"{name}: {len(raw)} images of {len(kinds)} kinds")
        for title, embeddings in (("raw", raw), ("centred", centred)):
            print(f"  {title:8s}{measure(embeddings, kind)}")


def measure(embeddings: FloatArray, kind: np.ndarray) -> str:
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    similarity = unit @ unit.T
    alike = kind[:, None] == kind[None, :]
    off_diagonal = ~np.eye(len(kind), dtype=bool)
    same, other = similarity[alike & off_diagonal], similarity[~alike]
    # how often a pair of one kind is more alike than a pair of two kinds
    drawn = np.random.default_rng(SEED)
    auc = np.mean(drawn.choice(same, 100_000) > drawn.choice(other, 100_000))
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1)[:, :5]
    has_peer = np.bincount(kind)[kind] > 1
    first = np.mean(kind[nearest[:, 0]][has_peer] == kind[has_peer])
    five = np.mean(alike[np.arange(len(kind))[:, None], nearest][has_peer])
    return (
        f"same kind {same.mean():.2f}  other kinds {other.mean():.2f}  gap in other kinds' spreads "
        f"{(same.mean() - other.mean()) / other.std():.2f}  pairs in order {auc:.3f}  "
        f"nearest {first:.3f}  five nearest {five:.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("step", choices=["fetch", "compute", "evaluate"])
    parser.add_argument("folder", type=Path, help="where packages and embeddings are kept")
    arguments = parser.parse_args()
    steps = {"fetch": fetch, "compute": compute, "evaluate": evaluate}
    steps[arguments.step](arguments.folder)


if __name__ == "__main__":
    main()
