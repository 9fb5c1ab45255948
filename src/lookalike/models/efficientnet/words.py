"""Words as directions in the embedding space of a network trained on ImageNet.

A row of the network's classifier points to its class. A word means some of the 1000 classes, its
own or its hyponyms' ("dog": 118 of them), and its direction is their mean. The words are in
imagenet_words.tsv, from WordNet.
"""

import difflib
import gzip
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Final

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import ModelError
from lookalike.models.base import FloatArray

CLIP_COLLECTION: Final = "lookalike add FOLDER --model clip-ViT-B-32 --collection NAME"

IntArray = npt.NDArray[np.int64]

SHARPNESS: Final = 20.0
"""Of the softmax of cosines; among 10, 20, 30 and 40 it separated matches from chance best."""

# Ignored: they name nothing visible, or relations, which a mean cannot express.
FILLERS: Final = frozenset(
    ["a", "an", "the", "some", "and", "or", "with", "of", "in", "on", "at", "by", "near", "beside"]
)
_OPENING: Final = re.compile(
    r"^((a|an|the|some|my) )*(photo|photograph|picture|image)s? (of|with|showing) "
)
_MISSPELT: Final = 0.8  # difflib's ratio
_ENDINGS: Final = (
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("men", "man"),
    ("ies", "y"),
)


def spelt(text: str) -> str:
    """Spell a text as the table does: lower case, no apostrophes, full stops, hyphens or commas."""
    return re.sub(r"[\W_]+", " ", re.sub(r"['’.]", "", text.lower())).strip()  # noqa: RUF001


def singulars(word: str) -> list[str]:
    """Return the singulars that a regular plural may have, including the word itself."""
    return [word, *(word.removesuffix(s) + x for s, x in _ENDINGS if word.endswith(s))]


def classes_of(text: str) -> list[IntArray]:
    """Return the ImageNet classes of each known word or phrase in a text.

    One array of ascending class numbers for each, in the text's order. Longer phrases are matched
    first ("ice cream"); articles and prepositions are skipped. Raises ModelError for any other
    word, because the query would ignore it.
    """
    words = _OPENING.sub("", spelt(text)).split()
    found: list[IntArray] = []
    start = 0
    while start < len(words):
        length, classes = _first_phrase(words[start:])
        if length:
            found.append(classes)
        elif words[start] not in FILLERS:
            raise _unknown(words[start])
        start += max(length, 1)
    if not found:
        raise _unknown(text.strip())
    return found


def class_directions(rows: FloatArray) -> FloatArray:
    """Turn a classifier's rows, one per class, into directions of the same shape, float32.

    This removes the component common to all rows and weakens those of related classes: by ridge
    regression, a direction's product with the centred rows is near one for its own class and near
    zero for the others. On labelled images this finds more than the rows themselves.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    products = centred @ centred.T
    penalty = np.trace(products) / len(products) * np.eye(len(products))
    return np.linalg.solve(products + penalty, centred).astype(np.float32)


def text_directions(texts: Sequence[str], directions: FloatArray) -> FloatArray:
    """Embed texts by their classes' directions: (n, dim), float32, of length one.

    directions: one per class, shape (classes, dim). A word's is the mean of its classes', a text's
    the mean of its words'. Raises ModelError for an unknown word.
    """
    embedded = np.empty((len(texts), directions.shape[1]), np.float32)
    for row, text in enumerate(texts):
        means = [directions[classes].mean(axis=0) for classes in classes_of(text)]
        embedded[row] = _unit(np.sum([_unit(mean) for mean in means], axis=0))
    return embedded


def class_shares(text: str, embeddings: FloatArray, directions: FloatArray) -> FloatArray:
    """Return how much of each image shows the classes that a text means: (n,), from 0 to 1.

    The shares of all classes add up to 1: a softmax of the cosines between embeddings (n, dim) and
    directions (classes, dim). Raises ModelError for an unknown word.
    """
    meant = np.unique(np.concatenate(classes_of(text)))
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    cosines = units @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    shares = np.exp(SHARPNESS * cosines)
    total: FloatArray = shares[:, meant].sum(axis=1) / shares.sum(axis=1)
    return total


def _unit(vector: FloatArray) -> FloatArray:
    unit: FloatArray = vector / np.linalg.norm(vector)
    return unit


def _first_phrase(words: Sequence[str]) -> tuple[int, IntArray]:
    """Return the length (0: none) and classes of the longest known phrase that begins the words."""
    known, longest = _table()
    for length in range(min(len(words), longest), 0, -1):
        for last in singulars(words[length - 1]):
            classes = known.get(" ".join([*words[: length - 1], last]))
            if classes is not None:
                return length, classes
    return 0, np.empty(0, np.int64)


def _unknown(word: str) -> ModelError:
    near = near_in_meaning(word)
    known = f" (near it: {', '.join(near)})" if near else ""
    return ModelError(
        f"the embedded model does not know {word!r}{known}: it knows the names of things, but no "
        "people, colours or actions; name a thing that is seen, or make a collection for CLIP, "
        f"which understands free text: {CLIP_COLLECTION}"
    )


def near_in_meaning(word: str) -> list[str]:
    """Return known words near an unknown one in meaning, nearest first; empty if there are none.

    A word that WordNet does not have is treated as misspelt.
    """
    hints = _hints()
    for one in singulars(spelt(word)):
        if one in hints:
            return hints[one].split(", ") if hints[one] else []
    return difflib.get_close_matches(word, table(), n=3, cutoff=_MISSPELT)


def table() -> Mapping[str, IntArray]:
    """Return the classes of every known word."""
    return _table()[0]


@cache
def _hints() -> Mapping[str, str]:
    """Map unknown words to known words near in meaning; other words of WordNet map to none."""
    file = resources.files("lookalike.models.efficientnet").joinpath("word_hints.tsv.gz")
    hints: dict[str, str] = {}
    for line in gzip.decompress(file.read_bytes()).decode("utf-8").splitlines():
        if not line.startswith("#"):
            near, words = line.split("\t")
            hints |= dict.fromkeys(words.split(), near)
    return hints


@cache
def _table() -> tuple[Mapping[str, IntArray], int]:
    """Return the classes of every known word, and the word count of the longest phrase."""
    file = resources.files("lookalike.models.efficientnet").joinpath("imagenet_words.tsv")
    known: dict[str, IntArray] = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            numbers, words = line.split("\t")
            known |= dict.fromkeys(words.split(", "), _parse_ranges(numbers))
    return known, max(len(words.split()) for words in known)


def _parse_ranges(text: str) -> IntArray:
    """Parse "1 3-5" into the read-only array [1, 3, 4, 5]."""
    runs = [run.partition("-") for run in text.split()]
    numbers = np.concatenate([np.arange(int(a), int(b or a) + 1) for a, _, b in runs])
    numbers.setflags(write=False)
    return numbers
