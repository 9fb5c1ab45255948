"""Duplicates: how many are found, what else is, and how long it takes.

    python -m benchmarks.duplicates [--imagededup PYTHON]   the table of what is found
    python -m benchmarks.duplicates --half dev              the same of the half for choosing
    python -m benchmarks.duplicates --speed                 100,000 embeddings

Of one photograph in eight 17 duplicates are made and of one drawing in 44 up to 9, among half of
all drawings (card decks, icons, signs, stars, faces) and stamps, those of benchmarks.real_images,
fetched once: 360 MB of Debian's packages. All of it falls into two halves by name: thresholds are
chosen on one, the table is of the other. A photograph's pairs are those with a photograph or one
made of it, a drawing's likewise. Two drawings are one picture only if their pixels are the same.

PYTHON is an interpreter with imagededup; of it PHash is measured with the default threshold.
"""

import argparse
import json
import os
import resource
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.data import DIM, SEED
from benchmarks.duplicate_files import KINDS, ORIGINAL, TARGET, File, folder_of
from benchmarks.server import STOCK_POOL, database
from benchmarks.synthetic import CHUNK, Process, Recipe
from lookalike import Collection, DuplicateGroup

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


# What is found.


class Found:
    """Pairs of files that a method calls duplicates, one of each pair on this ground."""

    def __init__(self, pairs: Iterable[tuple[str, str]], ground: str) -> None:
        self._pairs: set[tuple[File, File]] = set()
        for pair in pairs:
            one, other = sorted(map(File.of, pair), key=repr)
            if one != other and ground in (one.ground, other.ground):
                self._pairs.add((one, other))

    def originals(self) -> tuple[int, int]:
        """How many pairs are of two originals, and how many of these are wrong."""
        pairs = [pair for pair in self._pairs if {file.kind for file in pair} == {ORIGINAL}]
        return len(pairs), sum(one.family != other.family for one, other in pairs)

    def recall(self, files: Sequence[File], kinds: Sequence[str]) -> float:
        """The share of the files of these kinds that were found with their originals."""
        wanted = [file for file in files if file.kind in kinds]
        with_original = {
            (file.number, file.kind)
            for pair in self._pairs
            for file, other in (pair, pair[::-1])
            if other.kind == ORIGINAL and other.number == file.number
        }
        return sum((f.number, f.kind) in with_original for f in wanted) / max(len(wanted), 1)

    def precision(self, kinds: Sequence[str]) -> float:
        """The share of right ones of the pairs with a file of these kinds."""
        pairs = [pair for pair in self._pairs if {pair[0].kind, pair[1].kind} & set(kinds)]
        right = sum(one.family == other.family for one, other in pairs)
        return right / len(pairs) if pairs else 1.0


def pairs_of(groups: Sequence[DuplicateGroup], tiers: Sequence[str]) -> list[tuple[str, str]]:
    """Each duplicate of these tiers with the others of its group."""
    pairs = []
    for group in groups:
        members = [group.keep, *(image for image in group.duplicates if image.tier in tiers)]
        names = [image.image_name for image in members]
        pairs += [(one, other) for i, one in enumerate(names) for other in names[i + 1 :]]
    return pairs


def of_imagededup(python: Path, folder: Path) -> list[tuple[str, str]]:
    answer = folder.with_suffix(".json")
    subprocess.run([python, "-c", IMAGEDEDUP, folder, answer], check=True)
    found = json.loads(answer.read_text())
    return [(name, other) for name, others in found.items() for other in others]


def report(python: Path | None, part: str) -> None:
    folder = folder_of(part)
    # A cache of its own: what an earlier run has compared would not be compared.
    with TemporaryDirectory() as cache, database(STOCK_POOL) as db:
        os.environ["LOOKALIKE_CACHE"] = cache
        collection = db.collection(part, model="efficientnet-lite2")
        collection.add(folder)
        print_report(collection, folder, python)


def print_report(collection: Collection, folder: Path, python: Path | None) -> None:
    files = [File.of(path.name) for path in folder.iterdir()]
    started = time.perf_counter()
    groups = collection.duplicates.find()
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    assert collection.duplicates.find() == groups
    again = time.perf_counter() - started
    methods = {
        "near-duplicate": pairs_of(groups, ("identical", "near-duplicate")),
        "and similar": pairs_of(groups, ("identical", "near-duplicate", "similar")),
    }
    if python:
        methods["imagededup's PHash"] = of_imagededup(python, folder)
    print(f"{len(files):,} files; {seconds:.0f} s, and {again:.1f} s again")
    for ground in ("photograph", "drawing"):
        print_table(ground, files, methods)


def print_table(
    ground: str, files: Sequence[File], methods: Mapping[str, list[tuple[str, str]]]
) -> None:
    own = [file for file in files if file.ground == ground]
    originals = sum(file.kind == ORIGINAL for file in own)
    print(f"\n{ground}s: {originals:,} originals, {len(own) - originals:,} made of them\n")
    print("| | " + " | ".join(f"{name}: recall | precision" for name in methods) + " |")
    print("|---" + "|---:" * 2 * len(methods) + "|")
    found = {name: Found(pairs, ground) for name, pairs in methods.items()}
    rows = {**KINDS, "**all resized, recompressed and 5% cropped**": TARGET}
    for label, kinds in rows.items():
        if any(file.kind in kinds for file in own):
            figures = (
                f"{each.recall(own, kinds):.3f} | {each.precision(kinds):.4f}"
                for each in found.values()
            )
            print(f"| {label} | " + " | ".join(figures) + " |")
    for name, each in found.items():
        pairs, wrong = each.originals()
        print(f"{name}: {pairs} pairs of originals, {wrong} wrong")


# Speed.


def speed(n: int = 100_000) -> None:
    """Find the similar ones of synthetic embeddings, and count what is missed or wrong."""
    process = Process(DIM, Recipe(), SEED)
    embeddings = np.concatenate([process.rows(chunk, CHUNK) for chunk in range(n // CHUNK)])
    with database(STOCK_POOL) as db:
        collection = db.collection("synthetic", dim=DIM)
        collection.add_embeddings([str(i) for i in range(n)], embeddings)
        started = time.perf_counter()
        groups = collection.duplicates.find(min_similarity=0.95)
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
    parser.add_argument("--half", choices=["test", "dev"], default="test")
    parser.add_argument("--speed", action="store_true")
    arguments = parser.parse_args()
    if arguments.speed:
        speed()
    else:
        report(arguments.imagededup, arguments.half)


if __name__ == "__main__":
    main()
