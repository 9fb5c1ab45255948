"""The judge of the words' benchmark, and the spelling of its table, on small things made here."""

import struct
import zlib

import numpy as np
import pytest

from benchmarks import words
from benchmarks.embedded_model_words import ranges


def test_a_picture_is_labelled_by_its_folder_or_name(monkeypatch):
    monkeypatch.setitem(words.LABELS, "dog", "dogs/ dog black_lab not hot_dog")
    names = {
        "animals/dogs/bobi_01.png": True,
        "photos/myDog2.webp": True,
        "photos/black_lab_ganson.png": True,
        "food/hot_dog_bw.png": False,
        "plants/dogwood.png": False,
        "computer/icons/dog.png": False,
    }
    assert words.labelled("dog", list(names)).tolist() == list(names.values())


def test_precision_counts_no_more_pictures_than_are_labelled():
    relevant = np.zeros(30, bool)
    relevant[[0, 1, 29]] = True
    assert words.precision(-np.arange(30.0), relevant) == pytest.approx(2 / 3)
    relevant[10:20] = True
    assert words.precision(-np.arange(30.0), relevant) == pytest.approx(2 / 10)


def test_resource_files_are_read():
    def name(text):
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = [name(text) for text in ("", "animals", "cat.webp", "list.txt")]
    offsets = np.cumsum([0, *map(len, names)]).tolist()
    packed = struct.pack(">I", 5) + zlib.compress(b"eggs!")
    contents = struct.pack(">I", 3) + b"cat" + struct.pack(">I", len(packed)) + packed
    nodes = [  # name, flags, then a folder's size and first child, or a file's country and place
        struct.pack(">IHIIQ", offsets[0], 2, 1, 1, 0),
        struct.pack(">IHIIQ", offsets[1], 2, 2, 2, 0),
        struct.pack(">IHIIQ", offsets[2], 0, 0, 0, 0),
        struct.pack(">IHIIQ", offsets[3], 1, 0, 7, 0),
    ]
    tree = b"".join(nodes)
    head = struct.pack(">4s4I", b"qres", 2, 20, 20 + len(tree), 20 + len(tree) + len(contents))
    found = dict(words.resources(head + tree + contents + b"".join(names)))
    assert found == {"animals/cat.webp": b"cat", "animals/list.txt": b"eggs!"}


def test_runs_of_classes_are_short():
    assert ranges([7, 3, 5, 4, 1]) == "1 3-5 7"
