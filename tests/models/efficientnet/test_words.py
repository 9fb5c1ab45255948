"""Words to ImageNet's classes, and classes to directions."""

import gzip
import re
from importlib import resources

import numpy as np
import pytest

from lookalike.core.errors import ModelError
from lookalike.models.efficientnet.words import (
    class_directions,
    classes_of,
    near_in_meaning,
    spelt,
    table,
    text_directions,
)

TABLE = (
    resources.files("lookalike.models.efficientnet")
    .joinpath("imagenet_words.tsv")
    .read_text("utf-8")
)
ROWS = [line.split("\t") for line in TABLE.splitlines() if not line.startswith("#")]

DOGS = [*range(151, 269)]  # the 118 breeds of ILSVRC 2012; 269 and on are wolves and wild dogs
WOLVES = [269, 270, 271, 272]


def found(text):
    return [classes.tolist() for classes in classes_of(text)]


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("dog", [DOGS]),
        ("Dogs", [DOGS]),
        ("tabby", [[281]]),
        ("tabbies", [[281]]),
        ("cat", [[*range(281, 288)]]),  # five domestic ones, the cougar and the lynx
        ("golden retriever", [[207]]),
        ("golden retrievers", [[207]]),
        ("St. Bernard", [[247]]),
        ("jack-o'-lantern", [[607]]),
        ("ice-cream", [[928]]),
        ("hot dog", [[934]]),  # no dog
        ("wolves", [WOLVES]),
        ("geese", [[99]]),
        ("torches", [[862]]),
        ("buses", [[654, 779, 874]]),
        ("bird", [[*range(7, 25), *range(80, 101), *range(127, 147)]]),
        ("crane", [[134, 517]]),  # the bird and the machine
        ("big cat", [[*range(288, 294)]]),
    ],
)
def test_words_mean_their_classes_and_those_of_their_kinds(text, classes):
    assert found(text) == classes


@pytest.mark.parametrize(
    ("text", "like"),
    [
        ("gosling", "goose"),  # a kind of a class
        ("cow", "ox"),  # animals with a class near by
        ("moose", "ruminant"),
        ("kitten", "domestic cat"),
        ("tv", "television"),
    ],
)
def test_words_without_a_class_mean_their_kins(text, like):
    assert found(text) == found(like)


@pytest.mark.parametrize(
    "text", ["a photo of a cat", "The picture of cats", "some cats", "my photos of the cat", "cat."]
)
def test_what_says_nothing_of_the_picture_is_passed_over(text):
    assert found(text) == found("cat")


def test_several_things_are_found_in_order():
    assert found("dogs and a wolf on the beach") == [DOGS, WOLVES, [977, 978]]
    assert found("cup of hot dog") == [[968], [934]]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("black dog on a beach", "black"),
        ("purple", "purple"),
        ("two cats", "two"),
        ("no cat", "no"),
        ("the", "the"),
        ("a photo of Ada Lovelace", "ada"),
    ],
)
def test_any_other_word_is_refused_by_name(text, word):
    with pytest.raises(ModelError) as caught:
        classes_of(text)
    message = str(caught.value)
    assert message.startswith(f"the embedded model does not know {word!r}")
    assert message.endswith(
        "no people, colours or actions; name a thing that is seen, or make a collection for CLIP, "
        "which understands free text: lookalike add FOLDER --model clip-ViT-B-32 --collection NAME"
    )
    assert "\n" not in message


# Each relation as WordNet 3.0 has it (`wn pear -hypen`, `wn oak -hasmn` ...).
@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("pear", "pome"),  # a kind of
        ("blouse", "dress"),  # both women's clothing
        ("cottage", "house"),  # a kind of
        ("pencil", "writing implement"),
        ("carrots", "root vegetable"),  # a plural
        ("oak", "acorn"),  # is its fruit
        ("hut", "shelter"),
    ],
)
def test_the_hints_for_a_word_are_near_in_meaning(word, hint):
    assert hint in near_in_meaning(word)
    with pytest.raises(ModelError, match=rf"does not know '{word}' \(near it: .*{hint}"):
        classes_of(word)


@pytest.mark.parametrize("word", ["woman", "man", "person", "red", "blue", "running", "sky", "two"])
def test_people_colours_and_actions_have_no_hints(word):
    assert near_in_meaning(word) == []
    with pytest.raises(ModelError, match=f"does not know '{word}': it knows the names of things"):
        classes_of(word)


def test_synonyms_need_no_hints():
    for word, like in [
        ("sofa", "studio couch"),
        ("kitty", "domestic cat"),
        ("automobile", "motorcar"),
    ]:
        assert found(word) == found(like)


def test_a_word_that_no_dictionary_has_is_taken_for_a_misspelt_one():
    assert near_in_meaning("elefant") == ["elephant"]
    assert near_in_meaning("qqqq") == []


def test_every_hint_can_be_asked_for_and_no_word_with_hints_is_known():
    file = resources.files("lookalike.models.efficientnet").joinpath("word_hints.tsv.gz")
    assert len(file.read_bytes()) < 300_000
    text = gzip.decompress(file.read_bytes()).decode()
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in text
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    words = [word for _, of in lines for word in of.split()]
    assert len(words) == len(set(words)) > 70_000
    assert [word for word in words if word in table()] == []
    hints = {hint for near, _ in lines if near for hint in near.split(", ")}
    assert hints <= set(table())


def test_the_classes_found_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        classes_of("tabby")[0][0] = 0


def test_the_table_carries_its_licence():
    assert "WordNet 3.0 Copyright 2006 by Princeton University.  All rights reserved." in TABLE
    assert 'PROVIDED "AS IS"' in TABLE


def test_every_word_of_the_table_is_there_once_and_can_be_asked_for():
    words = [word for _, words in ROWS for word in words.split(", ")]
    assert len(set(words)) == len(words) > 7000
    assert [word for word in words if spelt(word) != word] == []
    assert [word for word in words if len(classes_of(word)) != 1] == []


def test_every_class_has_a_word():
    assert all(re.fullmatch(r"\d+(-\d+)?( \d+(-\d+)?)*", numbers) for numbers, _ in ROWS)
    classes = [classes_of(words.split(", ")[0])[0] for _, words in ROWS]
    assert all((np.diff(one) > 0).all() for one in classes)
    assert set(np.concatenate(classes).tolist()) == set(range(1000))


def test_a_direction_is_high_for_its_own_class_and_low_for_others():
    rng = np.random.default_rng(1)
    kin = rng.normal(size=(3, 40))  # ten rows that have much in common with each
    rows = (np.repeat(kin, 10, axis=0) * 2 + rng.normal(size=(30, 40)) + 5).astype(np.float32)
    directions = class_directions(rows)
    assert (directions.shape, directions.dtype) == (rows.shape, np.float32)
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    # the same ridge regression the other way about: a system of 40 dimensions, not of 30 classes
    penalty = (centred**2).sum() / len(rows)
    expected = centred @ np.linalg.inv(centred.T @ centred + penalty * np.eye(40))
    np.testing.assert_allclose(directions, expected, rtol=1e-4, atol=1e-6)
    assert ((centred @ directions.T).argmax(axis=0) == np.arange(30)).all()


def test_a_text_is_the_mean_of_its_words():
    directions = np.random.default_rng(2).normal(size=(1000, 16)).astype(np.float32)

    def unit(vector):
        return vector / np.linalg.norm(vector)

    dog = unit(directions[151:269].mean(axis=0))
    wolf = unit(directions[269:273].mean(axis=0))
    embedded = text_directions(["dogs", "a wolf", "a dog and a wolf"], directions)
    assert embedded.dtype == np.float32
    np.testing.assert_allclose(embedded, [dog, wolf, unit(dog + wolf)], atol=1e-6)
    assert text_directions([], directions).shape == (0, 16)
