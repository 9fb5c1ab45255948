"""Documents: texts and images with text ids and metadata, held against dicts and numpy."""

import json
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import EmbeddingError, InputError
from tests.colours import Colours
from tests.oracle import similarities

ODD = {
    "id": 1,
    "Embedding": "a",
    "document_text": "b",
    "deep": {"a": [1, {"b": None}]},
    "nothing": None,
    "empty": [],
    "long": 10**30,
    "a/b": "slash",
    "n" * 65: 1,
    "tags": ["x", "y"],
    "on": True,
    "grüße": "größer 🙂",
}


@pytest.fixture
def notes(db):
    return db.collection("notes").documents


def test_metadata_comes_back_as_it_was(notes):
    notes.put(["a"], [[1, 0]], ["text 🙂"], [ODD])
    (found,) = notes.get(["a"])
    assert (found.key, found.text, found.metadata, found.path) == ("a", "text 🙂", ODD, None)
    assert json.dumps(found.metadata) == json.dumps(ODD)


FOUND = [
    {"id": 1},
    {"Embedding": "a"},
    {"document_text": "b"},
    {"tags": (":", "x")},
    {"on": True},
    {"grüße": "größer 🙂"},
    {"image_name": "a"},
    {"nothing": None},
    "id=1 and (unknown=3 or tags:y)",
    "id=1 and (unknown=3 or unknown is missing)",
]
NOT_FOUND = [{"unknown": 3}, "id=3", {"id": 1, "unknown": ("!=", None)}, "deep is not missing"]


def test_filters_find_metadata_by_its_own_name(notes):
    notes.put(["a", "b"], [[1, 0], [0, 1]], ["one", "two"], [ODD, {"id": 2, "nothing": 3}])
    for where in FOUND:
        assert [each.key for each in notes.search([1, 0.1], where=where)] == ["a"], where
    for where in NOT_FOUND:
        assert notes.search([1, 0], where=where) == notes.find(where) == [], where
    assert len(notes.search([1, 0], where={"unknown": None})) == 2


def test_a_collection_that_is_not_there_is_empty(notes):
    assert notes.search([1, 0], where={"id": 1}) == notes.find() == notes.get(["a"]) == []
    assert notes.delete(["a"]) == notes.delete_where(None) == 0


def test_a_document_is_replaced_with_all_its_metadata(notes):
    (first,) = notes.put(["a"], [[1, 0]], ["old"], [{"page": 1, "id": 7, "gone": "x"}])
    (again,) = notes.put(["a"], [[0, 1]], ["new"], [{"page": 2}])
    assert again == first
    (found,) = notes.search([0, 1])
    assert (found.text, found.metadata, round(found.similarity, 6)) == ("new", {"page": 2}, 1)
    assert not notes.find("gone is not missing") and not notes.find({"id": 7})


def test_ids_are_compared_letter_by_letter(notes):
    keys = ["a", "A", "a ", "ä", "日本", "%", "x" * 255]
    notes.put(keys, np.eye(7), keys)
    notes.put(["A"], [[1] * 7], ["changed"])
    assert [each.text for each in notes.get(reversed(keys))] == [
        "changed" if key == "A" else key for key in reversed(keys)
    ]
    assert notes.delete(["a", "none", "日本"]) == 2
    assert [each.key for each in notes.find()] == ["A", "a ", "ä", "%", "x" * 255]


def test_of_an_id_that_comes_twice_the_last_counts(notes):
    ids = notes.put(["a", "b", "a"], np.eye(3), ["1", "2", "3"], [{"n": 1}, {"n": 2}, {"m": 3}])
    assert ids[0] == ids[2] != ids[1]
    assert {each.key: each.metadata for each in notes.find()} == {"a": {"m": 3}, "b": {"n": 2}}


REFUSED = [
    ((["a", ""], [[1, 0]] * 2, ["x", "y"]), "0 characters; give 1 to 255"),
    ((["a" * 256], [[1, 0]], ["x"]), "256 characters"),
    ((["a", "b"], [[1, 0]] * 2, ["x"]), "1 texts do not fit 2 ids"),
    ((["a"], [[1, 0]], ["x"], [{}, {}]), "2 metadata do not fit 1 ids"),
    ((["a"], [[1, 0]] * 2, ["x"]), "2 embeddings do not fit 1 ids"),
    ((["a"], [[1, 0]], ["x"], [{"d": {1, 2}}]), "the metadata of 'a' is not JSON"),
    ((["a"], [[1, 0]], [None]), "a text is None"),
]


def test_what_cannot_be_stored_is_told_and_nothing_is_stored(notes):
    for arguments, told in REFUSED:
        with pytest.raises(InputError, match=told):
            notes.put(*arguments)
    assert notes.find() == []


def test_an_embedding_of_another_length_is_refused(notes):
    notes.put(["a"], [[1, 0]], ["x"])
    with pytest.raises(EmbeddingError, match="has 3 dimensions, and this collection has 2"):
        notes.put(["b"], [[1, 0, 0]], ["y"])


def state_of(documents):
    embeddings = documents._state
    rows = lookalike.Collection(embeddings).get([each.id for each in documents.find()])
    return [(row.image_name, row.embedding.tolist(), row.attributes) for row in rows]


def test_all_documents_of_a_call_are_stored_or_none(database_url, notes):
    """Whichever statement is the last before the program ends."""
    notes.put(["a", "b"], [[1, 0], [0, 1]], ["old a", "old b"], [{"n": 1}, {"n": 2}])
    before, left = state_of(notes), 0

    def trace(_):
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt

    for last in range(1, 200):
        left = last
        try:
            with lookalike.connect(database_url, tracer=trace) as db:
                db.collection("notes").documents.put(
                    ["b", "c"], [[1, 1], [1, 2]], ["new b", "new c"], [{"m": 1}, {"m": 2}]
                )
        except KeyboardInterrupt:
            if state_of(notes) == before:
                continue
        break
    after = state_of(notes)
    assert [name for name, *_ in after] == ["a", "b", "c"] and after[0] == before[0]
    assert [row[2]["m"] for row in after[1:]] == [1, 2] and "n" not in after[1][2]
    assert last > 15


def test_writers_at_once_store_each_id_once(notes):
    keys = [f"k{i}" for i in range(40)]

    def write(number):
        mine = random.Random(number).sample(keys, 30)
        for start in (0, 10, 20):
            part = mine[start : start + 10]
            notes.put(part, [[number, 1]] * 10, [str(number)] * 10, [{"by": number}] * 10)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, range(1, 7)))
    found = notes.find()
    assert len({each.key for each in found}) == len(found) > 35
    assert all(each.text == str(each.metadata["by"]) for each in found)


def test_it_works_on_each_engine(engine):
    notes, generator = engine.collection("notes").documents, np.random.default_rng(1)
    vectors = generator.normal(size=(60, 8)).astype(np.float32)
    metadata = [{"n": i % 7, "odd": bool(i % 2), "id": f"x{i}"} for i in range(60)]
    keys = [f"key {i}" for i in range(60)]
    notes.put(keys, generator.normal(size=(60, 8)), ["old"] * 60, [{"n": 9, "gone": 1}] * 60)
    notes.put(keys, vectors, keys, metadata)
    query = generator.normal(size=8).astype(np.float32)
    near = similarities(vectors, query)
    for where, passes in (
        (None, lambda each: True),
        ({"n": ("<", 3)}, lambda each: each["n"] < 3),
        ({"odd": True, "n": [1, 5]}, lambda each: each["odd"] and each["n"] in (1, 5)),
        ({"gone": 1}, lambda each: False),
    ):
        expected = [i for i in np.argsort(-near) if passes(metadata[i])][:5]
        found = notes.search(query, k=5, where=where)
        assert [each.key for each in found] == [keys[i] for i in expected]
        assert [each.similarity for each in found] == pytest.approx(near[expected], abs=1e-5)
    assert notes.delete_where({"odd": False}) == 30
    assert len(notes.get(keys)) == 30
    engine.delete_collection("notes")
    assert not engine.collection("notes").exists


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{name}.png" for name in ("red", "green")]
    for path, colour in zip(paths, ("red", "lime"), strict=True):
        Image.new("RGB", (8, 8), colour).save(path)
    return paths


def test_images_are_documents_too(db, pictures, tmp_path):
    colours = db.collection("colours", model=Colours())
    colours.add(tmp_path)
    documents, (red, green) = colours.documents, map(str, pictures)
    assert documents.describe([pictures[0]], ["a red square"], [{"hue": 0, "old": 1}]) == [red]
    documents.describe([red], ["red"], [{"hue": 0}])
    documents.put(["red.png"], [[1, 1, 200]], ["a text with an image's name"], [{"hue": 240}])
    found = documents.get([green, "red.png", red, "green.png"])
    assert [(each.key, each.text, each.metadata) for each in found] == [
        (green, "green.png", {"path": green}),
        ("red.png", "a text with an image's name", {"hue": 240}),
        (red, "red", {"path": red, "hue": 0}),
    ]
    nearest = documents.search(lookalike.Image(pictures[0]), where={"hue": ("<", 100)})
    assert [(each.key, each.path) for each in nearest] == [(red, pictures[0])]
    assert documents.delete([red]) == 1 and pictures[0].exists()
    with pytest.raises(InputError, match="no image of .*red.png: add it first"):
        documents.describe([red], ["gone"])
