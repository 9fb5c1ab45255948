"""Duplicates: how many are found, what else is, and how long it takes.

    python -m benchmarks.duplicates [--imagededup PYTHON]   the table of what is found
    python -m benchmarks.duplicates --choose                the thresholds, on the other half
    python -m benchmarks.duplicates --speed                 100,000 embeddings

Of every photograph 17 duplicates are made, among unrelated photographs, clip-art and stamps (those
of benchmarks.real_images, fetched once: 360 MB of Debian's packages). All of it falls into two
halves by name: thresholds are chosen on one, and the table is of the other. A pair counts where one
of the two is a photograph or made of one: clip-art has too many near-duplicates of its own.

PYTHON is an interpreter with imagededup; of it PHash is measured with the default threshold.
"""

import argparse
import io
import json
import random
import resource
import subprocess
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFont

from benchmarks.data import CACHE, DIM, SEED
from benchmarks.embedded_model_mean import fetch
from benchmarks.index import STOCK_POOL, database
from benchmarks.real_images import EMPTY, Picture, pictures
from benchmarks.synthetic import CHUNK, Process, Recipe
from lookalike import Collection, Database, DuplicateGroup
from lookalike.duplicates.compare import LEAST, same_picture
from lookalike.duplicates.find import NEAR_SIMILARITY
from lookalike.duplicates.neighbours import neighbours, unique_pairs
from lookalike.duplicates.pictures import Images, read_images
from lookalike.duplicates.resemblance import similar_hashes, thumbnails
from lookalike.duplicates.workers import workers
from lookalike.errors import ImageError
from lookalike.images import open_image

PHOTOGRAPHS = {"wallpapers", "gcompris", "samples"}
SMALLEST_SIDE = 180  # pixels
LARGEST_SIDE = 1000
QUALITY = 90
KINDS = {
    "resized to 75%, 50%": ("resize75", "resize50"),
    "resized to 25%": ("resize25",),
    "JPEG quality 90, 70": ("jpeg90", "jpeg70"),
    "JPEG quality 50, 30": ("jpeg50", "jpeg30"),
    "5% cropped": ("crop5",),
    "10% cropped": ("crop10",),
    "20% cropped": ("crop20",),
    "turned by 90°, 180°, 270°": ("turn90", "turn180", "turn270"),
    "mirrored": ("mirror",),
    "30% darker": ("dark",),
    "30% brighter": ("bright",),
    "with a caption": ("caption",),
}
TARGET = ("resize75", "resize50", "resize25", "jpeg90", "jpeg70", "jpeg50", "jpeg30", "crop5")
ORIGINAL = "original"
CANDIDATES = [
    LEAST,
    LEAST._replace(colour=0.93),
    LEAST._replace(colour=0.97),
    LEAST._replace(detail=0.4),
    LEAST._replace(detail=0.6),
]

# One picture under several names, by its family's name; found by looking at what was found.
FAMILIES = {
    "Elephants": ("Elephants.jpg", "Elephants_3840x2160.jpg", "Elephants_5640x3172.jpg"),
    "chessboard": ("chessboard_GRAY.png", "chessboard_RGB.png"),
    "pyramid": ("explore_monuments/838207", "categorization/2803155"),
    "monument": ("explore_monuments/2887789", "categorization/2707307"),
    "another monument": ("explore_monuments/3487864", "categorization/2832949"),
    "Mars": ("solar_system/129537", "gravity/32268"),
    "Neptune": ("solar_system/189078", "gravity/69177", "8_neptune.png"),
    "Earth": ("solar_system/20395", "3_earth.png"),
}
FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}

IMAGEDEDUP = """
import json, sys
from unittest.mock import MagicMock
# Only its neural network needs torchvision, which has no build for every torch.
for name in ("", ".models", ".models.vision_transformer", ".transforms"):
    sys.modules["torchvision" + name] = MagicMock()
from imagededup.methods import PHash
found = PHash(verbose=False).find_duplicates(
    image_dir=sys.argv[1], num_enc_workers=0, num_dist_workers=0
)
json.dump(found, open(sys.argv[2], "w"))
"""


# The images.


def family(picture: Picture) -> str:
    name = picture.name if picture.group == "gcompris" else picture.name.rpartition("/")[2]
    return FAMILY_OF.get(name, f"{picture.group}/{picture.name}")


def folder_of(part: str) -> Path:
    """The folder of one half's files, made once; names are FAMILY'S NUMBER~NUMBER~KIND.SUFFIX."""
    folder = CACHE / "duplicates" / part
    if folder.exists():
        return folder
    sources = CACHE / "sources"
    if not sources.exists():
        new = CACHE / "sources.new"
        fetch(new)
        new.rename(sources)
    new = folder.with_name(part + ".new")
    new.mkdir(parents=True, exist_ok=True)
    chosen = [
        p for p in pictures(sources) if zlib.crc32(family(p).encode()) % 2 == (part == "test")
    ]
    families = {name: number for number, name in enumerate(dict.fromkeys(map(family, chosen)))}
    jobs = [(p, f"{families[family(p)]}~{number}", new) for number, p in enumerate(chosen)]
    with ProcessPoolExecutor() as processes:
        list(processes.map(write, *zip(*jobs, strict=True), chunksize=8))
    new.rename(folder)
    return folder


def write(picture: Picture, name: str, folder: Path) -> None:
    """Write the file of a picture and, of a photograph, those of its duplicates."""
    try:
        image = open_image(picture.source, name=picture.name)
    except ImageError:
        return
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    contrast = np.asarray(image.convert("L")).std()
    if picture.group not in PHOTOGRAPHS or min(image.size) < SMALLEST_SIDE or contrast < EMPTY:
        image.save(folder / f"{name}~unrelated.png", compress_level=1)
        return
    image.save(folder / f"{name}~{ORIGINAL}.jpg", quality=95)
    rng = random.Random(zlib.crc32(picture.name.encode()))
    for kind, data in duplicates_of(image, rng):
        (folder / f"{name}~{kind}.jpg").write_bytes(data)


def duplicates_of(image: Image.Image, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """The duplicates of an image: their kinds and the bytes of their JPEGs."""
    turns = {90: "ROTATE_90", 180: "ROTATE_180", 270: "ROTATE_270"}
    for percent in (75, 50, 25):
        size = image.width * percent // 100, image.height * percent // 100
        yield f"resize{percent}", jpeg(image.resize(size, Image.Resampling.LANCZOS))
    for quality in (90, 70, 50, 30):
        yield f"jpeg{quality}", jpeg(image, quality)
    for percent in (5, 10, 20):
        width, height = (round(side * (1 - percent / 100)) for side in image.size)
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        yield f"crop{percent}", jpeg(image.crop((left, top, left + width, top + height)))
    for degrees, turn in turns.items():
        yield f"turn{degrees}", jpeg(image.transpose(Image.Transpose[turn]))
    yield "mirror", jpeg(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    yield "dark", jpeg(ImageEnhance.Brightness(image).enhance(0.7))
    yield "bright", jpeg(ImageEnhance.Brightness(image).enhance(1.3))
    yield "caption", jpeg(captioned(image, rng))


def jpeg(image: Image.Image, quality: int = QUALITY) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
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


# What is found.


@dataclass(frozen=True)
class File:
    """What a file's name says of it."""

    family: str
    number: str
    kind: str

    @classmethod
    def of(cls, name: str) -> "File":
        return cls(*Path(name).stem.split("~"))


class Found:
    """Pairs of files that a method calls duplicates, one of each pair a photograph's."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._pairs: set[tuple[File, File]] = set()
        for pair in pairs:
            one, other = sorted(map(File.of, pair), key=repr)
            if one != other and not one.kind == other.kind == "unrelated":
                self._pairs.add((one, other))

    def recall(self, files: Sequence[File], kinds: Sequence[str]) -> float:
        """The share of the files of these kinds that were found with their originals."""
        wanted = [file for file in files if file.kind in kinds]
        with_original = {
            (file.number, file.kind)
            for pair in self._pairs
            for file, other in (pair, pair[::-1])
            if other.kind == ORIGINAL and other.number == file.number
        }
        return sum((f.number, f.kind) in with_original for f in wanted) / len(wanted)

    def precision(self, kinds: Sequence[str]) -> float:
        """The share of right ones of the pairs with a file of these kinds."""
        pairs = [pair for pair in self._pairs if {pair[0].kind, pair[1].kind} & set(kinds)]
        right = sum(one.family == other.family for one, other in pairs)
        return right / len(pairs) if pairs else 1.0


def of_groups(groups: Sequence[DuplicateGroup], tiers: Sequence[str]) -> Found:
    """Each duplicate of these tiers with the others of its group."""
    pairs = []
    for group in groups:
        members = [group.keep, *(image for image in group.duplicates if image.tier in tiers)]
        names = [image.image_name for image in members]
        pairs += [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    return Found(pairs)


def of_imagededup(python: Path, folder: Path) -> Found:
    answer = folder.with_suffix(".json")
    subprocess.run([python, "-c", IMAGEDEDUP, folder, answer], check=True)
    found = json.loads(answer.read_text())
    return Found((name, other) for name, others in found.items() for other in others)


def stored(db: Database, part: str) -> tuple[Collection, list[File]]:
    """A collection of one half's files, and these."""
    folder = folder_of(part)
    collection = db.collection(part, model="efficientnet-lite2")
    collection.add(folder)
    return collection, [File.of(path.name) for path in folder.iterdir()]


def report(python: Path | None) -> None:
    with database(STOCK_POOL) as db:
        collection, files = stored(db, "test")
        started = time.perf_counter()
        groups = collection.duplicates()
        seconds = time.perf_counter() - started
    methods = {
        "near-duplicate": of_groups(groups, ("identical", "near-duplicate")),
        "and similar": of_groups(groups, ("identical", "near-duplicate", "similar")),
    }
    if python:
        methods["imagededup's PHash"] = of_imagededup(python, folder_of("test"))
    n = sum(file.kind == ORIGINAL for file in files)
    unrelated = sum(file.kind == "unrelated" for file in files)
    print(f"{n} photographs, {len(files):,} files, {unrelated:,} unrelated; {seconds:.0f} s\n")
    print("| | " + " | ".join(f"{name}: recall | precision" for name in methods) + " |")
    print("|---" + "|---:" * 2 * len(methods) + "|")
    rows = {**KINDS, "**all resized, recompressed and 5% cropped**": TARGET}
    for label, kinds in rows.items():
        figures = (
            f"{found.recall(files, kinds):.3f} | {found.precision(kinds):.3f}"
            for found in methods.values()
        )
        print(f"| {label} | " + " | ".join(figures) + " |")


# The thresholds.


def choose() -> None:
    """Print recall of TARGET and of all, and wrong pairs, for several thresholds."""
    with database(STOCK_POOL) as db:
        collection, _ = stored(db, "dev")
        collection.duplicates(tier="near-duplicate")  # takes the thumbnails, makes the index
        index = collection._index
        images = read_images(index, with_files=True)
        ids = images.ids[images.first].tolist()
        names = {record.id: record.image_name for record in collection.records(ids)}
        files = [File.of(names[row_id]) for row_id in ids]
        with workers(index) as crew:
            near = neighbours(
                index,
                images,
                crew,
                enough=np.inf,
                least=NEAR_SIMILARITY,
                progress=lambda done, total: None,
            )
        one, other = similar_hashes(index, images)
        pairs = unique_pairs([near, (one, other, np.zeros(len(one)))])
        one, other = pairs.first, pairs.second
        counted = [i for i in range(len(one)) if counts(files[one[i]], files[other[i]])]
        one, other = one[counted], other[counted]
        pixels = list(_in_batches(collection, images, one, other))
    right = np.array([files[i].family == files[j].family for i, j in zip(one, other, strict=True)])
    print("| colour | detail | recall of the target | of all | wrong pairs | precision |")
    print("|---:|---:|---:|---:|---:|---:|")
    for least in CANDIDATES:
        same = np.concatenate([same_picture(left, right, least) for left, right in pixels])
        found = Found(
            (names[ids[i]], names[ids[j]]) for i, j in zip(one[same], other[same], strict=True)
        )
        everything = [kind for kinds in KINDS.values() for kind in kinds]
        wrong = int((same & ~right).sum())
        print(
            f"| {least.colour} | {least.detail} | {found.recall(files, TARGET):.4f} "
            f"| {found.recall(files, everything):.4f} | {wrong} "
            f"| {1 - wrong / same.sum():.4f} |",
            flush=True,
        )


def counts(one: File, other: File) -> bool:
    """Pairs of originals with anything: duplicates of one picture are as near one another."""
    kinds = {one.kind, other.kind}
    return ORIGINAL in kinds or ("unrelated" in kinds and len(kinds) == 2)


def _in_batches(
    collection: Collection, images: Images, one: np.ndarray, other: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(one), 200):
        left, right = one[start : start + 200], other[start : start + 200]
        seen = thumbnails(collection._index, images, np.union1d(left, right))
        yield tuple(np.stack([seen[i] for i in side.tolist()]) for side in (left, right))


# Speed.


def speed(n: int = 100_000) -> None:
    """Find the similar ones of synthetic embeddings, and count what is missed or wrong."""
    process = Process(DIM, Recipe(), SEED)
    embeddings = np.concatenate([process.rows(chunk, CHUNK) for chunk in range(n // CHUNK)])
    with database(STOCK_POOL) as db:
        collection = db.collection("synthetic", dim=DIM)
        collection.add_embeddings([str(i) for i in range(n)], embeddings)
        started = time.perf_counter()
        groups = collection.duplicates()
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    grouped = {image.id - 1 for group in groups for image in (group.keep, *group.duplicates)}
    sample = np.arange(0, n, 50)
    pairs = np.argwhere(embeddings[sample] @ embeddings.T >= 0.95 + 1e-6)
    pairs = [(sample[i], j) for i, j in pairs if sample[i] != j]
    missed = sum(i not in grouped and j not in grouped for i, j in pairs)
    wrong = sum(
        embeddings[group.keep.id - 1] @ embeddings[image.id - 1] < 0.95 - 1e-6
        for group in groups
        for image in group.duplicates
    )
    print(f"{n:,} x {DIM}: {seconds:.0f} s, {n / seconds:.0f} a second, {len(groups):,} groups")
    print(f"{missed} of {len(pairs):,} sampled pairs are in no group; {wrong} members are too far")
    print(f"memory of this process, with the embeddings themselves: {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--imagededup", type=Path, metavar="PYTHON")
    parser.add_argument("--choose", action="store_true")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.choose:
        choose()
    elif arguments.speed:
        speed()
    else:
        report(arguments.imagededup)


if __name__ == "__main__":
    main()
