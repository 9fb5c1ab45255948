"""Names in every script on every engine: stored, found, filtered and counted as they are."""

import numpy as np
import pytest

from lookalike import InputError, ValueCount

SCRIPTS = [
    "Grüße.jpg",
    "Ελληνικά.jpg",
    "Кошка.jpg",
    "猫.jpg",
    "ネコ.jpg",
    "고양이.jpg",
    "قطة.jpg",
    "חתול.jpg",
    "แมว.jpg",
    "बिल्ली.jpg",
    "🐈‍⬛.jpg",
    "𓃠.jpg",
    "e\u0301.jpg",
    "é.jpg",
    "\u017f.jpg",
    "İi.jpg",
    "trailing ",
    "trailing",
    "tab\t",
    "back\\slash",
    'it\'s "100%" `x`',
    "new\nline",
    "zero\u200bwidth",
]


@pytest.fixture(scope="module")
def named(module_engine):
    own = module_engine.collection("scripts", dim=len(SCRIPTS))
    values = [{"label": name, "labels": [name, "x"]} for name in SCRIPTS]
    own.upsert(np.eye(len(SCRIPTS)), names=SCRIPTS, attributes=values)
    return own


@pytest.mark.capability("names")
def test_each_is_found_by_its_name(named):
    for row_id, name in enumerate(SCRIPTS, 1):
        (found,) = named.search(name, k=1, exclude_self=False)
        assert (found.id, found.image_name) == (row_id, name)
    assert [item.image_name for item in named.browse(order_by="id")] == SCRIPTS


@pytest.mark.capability("names")
@pytest.mark.parametrize("key", ["image_name", "label"])
def test_filters_tell_each_from_all_others(named, key):
    for row_id, name in enumerate(SCRIPTS, 1):
        for where in ({key: name}, {key: [name, "nothing"]}):
            assert [item.id for item in named.browse(where=where)] == [row_id], name
    assert named.count({key: ("not in", SCRIPTS[1:])}) == 1
    counts = {each.value: each.rows for each in named.attributes.counts(key, limit=100)}
    assert counts == dict.fromkeys(SCRIPTS, 1)


@pytest.mark.capability("names")
def test_lists_of_them_contain_what_was_stored(named):
    for row_id, name in enumerate(SCRIPTS, 1):
        assert [item.id for item in named.browse(where={"labels": (":", name)})] == [row_id], name
    assert named.attributes.counts("labels", limit=1) == [ValueCount("x", len(SCRIPTS))]


@pytest.mark.capability("names")
def test_containing_ignores_letter_case(named):
    for part, row in (("кошк", "Кошка.jpg"), ("ΕΛΛΗ", "Ελληνικά.jpg"), ("猫", "猫.jpg")):
        for key in ("image_name", "label"):
            found = named.browse(where={key: ("~", part)})
            assert [item.image_name for item in found] == [row]


@pytest.mark.capability("names")
def test_names_tell_letter_case_and_accents_apart(engine):
    own = engine.collection("names", dim=2)
    own.add_embeddings(["Café", "cafe", "CAFE"], [[1, 0], [0, 1], [1, 1]])
    assert own.search("CAFE", k=1, exclude_self=False)[0].id == 3
    with pytest.raises(InputError, match="'cafE' is not an image file"):
        own.search("cafE")


@pytest.mark.capability("names")
def test_an_ambiguous_name_asks_for_an_id(engine):
    own = engine.collection("names", dim=2)
    own.add_embeddings(["a", "a"], [[1, 0], [0, 1]])
    with pytest.raises(InputError, match="several images are named 'a': give an id, as 1"):
        own.search("a")
