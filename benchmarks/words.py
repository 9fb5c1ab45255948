"""Precision of text queries without CLIP: fifty words, on labelled pictures.

`python -m benchmarks.words` fetches the pictures (on a Debian machine), embeds them, both once in
benchmarks/.cache, and prints the tables of docs/benchmarks.md. What a picture shows is read off its
name and folder (benchmarks/word_labels.py): one that is named after something else, or not at all,
counts as wrong, so that the figures are lower bounds.
"""

import argparse
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.dataset import CACHE
from benchmarks.embedded_model_mean import fetch, images_under
from benchmarks.word_labels import LABELS, UNLABELLED, WITHOUT_CLASS
from lookalike.core.errors import ImageError, ModelError
from lookalike.images.decode import open_image
from lookalike.models.base import FloatArray
from lookalike.models.efficientnet.checkpoint import read_legacy_checkpoint
from lookalike.models.efficientnet.model import EfficientNetLite2, weights_path
from lookalike.models.efficientnet.words import class_directions, text_directions

PACKAGES = ("gcompris-qt-data", "tuxpaint-stamps-default", "openclipart-png")
SOURCES = ("photographs", "cut-outs", "drawings")
K = 10
FEWEST = 3  # labelled pictures of a source, for a word to be looked for in it alone
WORST = 10
BATCH = 16
LARGEST_SIDE = 2000
PUZZLE = "babyshapes/"  # pieces of pictures
DIRECTORY, COMPRESSED = 2, 1  # flags of Qt's resource files

Picture = tuple[str, str, Path | bytes]
Mask = npt.NDArray[np.bool_]


def pictures(folder: Path) -> Iterator[Picture]:
    """The source, the name and the file or bytes of every picture, in one order everywhere."""
    for file in sorted((folder / "debian" / "gcompris-qt-data").rglob("*.rcc")):
        for name, content in resources(file.read_bytes()):
            if content[8:12] == b"WEBP" and PUZZLE not in name:
                yield "photographs", name.partition("activities/")[2], content
    for path in images_under(folder / "pypi"):
        if not re.search("mnist|cifar", path.name, re.IGNORECASE):
            yield "photographs", f"samples/{path.name}", path
    stamps = folder / "debian/tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
    for path in images_under(stamps):
        if "symbols" not in path.parts:
            yield "cut-outs", str(path.relative_to(stamps)), path
    drawings = folder / "debian/openclipart-png/usr/share/openclipart/png"
    for path in images_under(drawings):
        if not path.is_symlink():  # to another's file
            yield "drawings", str(path.relative_to(drawings)), path


def resources(data: bytes) -> Iterator[tuple[str, bytes]]:
    """The paths and contents of the files in a Qt resource file."""
    _magic, version, tree, contents, names = struct.unpack_from(">4s4I", data)

    def walk(number: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * (22 if version >= 2 else 14)
        offset, flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + offset)
        name = data[names + offset + 6 : names + offset + 6 + 2 * length].decode("utf-16-be")
        if flags & DIRECTORY:
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, f"{folder}{name}/" if number else "")
        else:
            start = contents + struct.unpack_from(">I", data, at + 10)[0] + 4
            (size,) = struct.unpack_from(">I", data, start - 4)
            content = data[start : start + size]
            yield folder + name, zlib.decompress(content[4:]) if flags & COMPRESSED else content

    return walk(0, "")


def embed(folder: Path) -> tuple[FloatArray, list[str], list[str]]:
    """Embed every picture that can be read: (n, 1280) float32, their sources and names."""
    model = EfficientNetLite2()
    rows, sources, names = [], [], []
    batch: list[Image.Image] = []
    for source, name, content in pictures(folder):
        try:
            image = open_image(content, name=name)
        except ImageError:
            continue
        image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BICUBIC)
        batch.append(image)
        sources.append(source)
        names.append(name)
        if len(batch) == BATCH:
            rows.append(model.embed_images(batch))
            batch = []
    return np.concatenate([*rows, model.embed_images(batch)]), sources, names


def load() -> tuple[FloatArray, npt.NDArray[np.str_], list[str]]:
    """The pictures' unit embeddings, sources and names, kept in the cache between runs."""
    kept, folder = CACHE / "words.npz", CACHE / "labelled"
    if not folder.exists():
        new = folder.with_name("labelled.new")
        fetch(new, PACKAGES)
        new.rename(folder)
    if not kept.exists():
        print("Embedding the labelled pictures: about four minutes", flush=True)
        embeddings, sources, names = embed(folder)
        np.savez(kept, embeddings=embeddings, sources=sources, names=names)
    with np.load(kept) as file:
        embeddings = file["embeddings"]
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        return unit, file["sources"], list(file["names"])


def tokens(text: str) -> str:
    """The words of a name, without the numbers that they end in, between underscores."""
    words = re.findall("[a-z0-9]+", re.sub("([a-z])([A-Z])", r"\1 \2", text).lower())
    return "_".join(["", *(re.sub(r"(?<=[a-z])\d+$", "", word) for word in words), ""])


def labelled(word: str, names: list[str]) -> Mask:
    """Which pictures are named after a word: shape (n,)."""
    wanted, _, unwanted = LABELS[word].partition(" not ")

    def says(name: str, entries: str) -> bool:
        folder, _, stem = name.rpartition("/")
        return any(
            f"/{entry}" in f"/{folder}/".lower()
            if entry.endswith("/")
            else tokens(entry) in tokens(stem.rpartition(".")[0])
            for entry in entries.split()
        )

    return np.array([says(n, wanted) and not says(n, f"{unwanted} {UNLABELLED}") for n in names])


def precision(scores: npt.NDArray[np.floating], relevant: Mask) -> float:
    """The share of labelled pictures among the first ten, or fewer where fewer are labelled."""
    count = min(K, int(relevant.sum()))
    return float(relevant[np.argsort(-scores, kind="stable")[:count]].mean())


class Measurement:
    """What words find among pictures by the cosine, overall and within each source."""

    def __init__(self) -> None:
        self.unit, sources, self.names = load()
        self.pools = {"all": np.ones(len(sources), bool)}
        self.pools |= {source: sources == source for source in SOURCES}
        self.relevant = {word: labelled(word, self.names) for word in LABELS}

    def precisions(self, directions: FloatArray, pool: str) -> dict[str, float]:
        """Each word's precision within a pool, of those with enough labelled pictures in it."""
        inside = self.pools[pool]
        return {
            word: precision(self.unit[inside] @ query, self.relevant[word][inside])
            for word, query in zip(LABELS, text_directions(list(LABELS), directions), strict=True)
            if self.relevant[word][inside].sum() >= FEWEST
        }

    def chance(self, words: list[str], pool: str) -> float:
        """The mean share of the words' labelled pictures within a pool."""
        inside = self.pools[pool]
        return float(np.mean([self.relevant[word][inside].mean() for word in words]))


def ways() -> dict[str, Callable[[FloatArray], FloatArray]]:
    """Ways to make directions of the classifier's rows; the last is the model's."""

    def centred(rows: FloatArray) -> FloatArray:
        return rows - rows.mean(axis=0)

    def normalised(rows: FloatArray) -> FloatArray:
        return centred(rows) / np.linalg.norm(centred(rows), axis=1, keepdims=True)

    return {
        "the rows": lambda rows: rows,
        "centred": centred,
        "centred, of length one": normalised,
        "centred and decorrelated": class_directions,
    }


def is_known(word: str, directions: FloatArray) -> bool:
    try:
        text_directions([word], directions)
    except ModelError:
        return False
    return True


def report() -> str:
    """The Markdown tables."""
    measurement = Measurement()
    rows = np.array(read_legacy_checkpoint(weights_path())["_fc.weight"])
    directions = class_directions(rows)
    lines = ["| | pictures | words | chance | precision at 10 |", "|---|---:|---:|---:|---:|"]
    for pool, inside in measurement.pools.items():
        found = measurement.precisions(directions, pool)
        lines.append(
            f"| {pool} | {inside.sum():,} | {len(found)} | {measurement.chance([*found], pool):.3f}"
            f" | {np.mean([*found.values()]):.2f} |"
        )
    lines += [
        "",
        "| directions | " + " | ".join(measurement.pools) + " |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, way in ways().items():
        means = (
            np.mean([*measurement.precisions(way(rows), p).values()]) for p in measurement.pools
        )
        lines.append(f"| {name} | " + " | ".join(f"{mean:.3f}" for mean in means) + " |")
    found = measurement.precisions(directions, "all")
    ordered = sorted(found, key=lambda word: (-found[word], word))
    lines += ["", "| precision | words (labelled pictures) |", "|---:|---|"]
    for value in dict.fromkeys(found[word] for word in ordered):
        words = (
            f"{word} ({measurement.relevant[word].sum()})"
            for word in ordered
            if found[word] == value
        )
        lines.append(f"| {value:.1f} | {', '.join(words)} |")
    unknown = [word for word in WITHOUT_CLASS if not is_known(word, directions)]
    return "\n".join([*lines, "", f"Unknown: {', '.join(unknown)}"])


def show(word: str) -> str:
    """The first ten pictures of one word."""
    measurement = Measurement()
    directions = class_directions(np.array(read_legacy_checkpoint(weights_path())["_fc.weight"]))
    scores = measurement.unit @ text_directions([word], directions)[0]
    first = np.argsort(-scores, kind="stable")[:K]
    return "\n".join(f"{scores[i]:.3f}  {measurement.names[i]}" for i in first)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("word", nargs="?", help="show what this word finds instead")
    word = parser.parse_args().word
    CACHE.mkdir(exist_ok=True)
    print(show(word) if word else report())


if __name__ == "__main__":
    main()
