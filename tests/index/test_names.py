"""Stored images by the end of their name, and suggestions for names that are not stored."""

import pytest

from lookalike import InputError

NAMES = ["skimage/chelsea.png", "skimage/coffee.png", "a/cat.jpg", "b/cat.jpg", "plain"]


@pytest.fixture
def album(db):
    images = db.collection("album", dim=2)
    images.upsert([[1, i] for i in range(len(NAMES))], names=NAMES)
    return images


def test_the_end_of_one_images_name_is_enough_to_search(album):
    (first, *_) = album.search("chelsea.png", k=2, exclude_self=False)
    assert first.image_name == "skimage/chelsea.png" and first.similarity == pytest.approx(1)


def test_it_is_not_enough_to_remove(album):
    with pytest.raises(InputError, match=r"'chelsea.png' .*; did you mean skimage/chelsea.png\?$"):
        album.remove("chelsea.png")
    assert album.count() == len(NAMES)


def test_an_end_of_several_names_is_refused(album):
    with pytest.raises(InputError, match=r"did you mean a/cat.jpg, b/cat.jpg\?$"):
        album.search("cat.jpg")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chelsea.jpg", "skimage/chelsea.png"),
        ("CHELSEA.PNG", "skimage/chelsea.png"),
        ("chelsae.png", "skimage/chelsea.png"),
        ("plane", "plain"),
    ],
)
def test_a_similar_name_is_suggested(album, typed, meant):
    with pytest.raises(
        InputError, match=rf"no stored image has that name or id; did you mean {meant}\b"
    ):
        album.search(typed)


@pytest.mark.parametrize(
    "typed", ["nothing like it.gif", "nope.png", "%", "_", "/", "", "helsea.png"]
)
def test_nothing_else_is_found_or_suggested_wrongly(album, typed):
    with pytest.raises(InputError) as error:
        album.search(typed)
    assert "did you mean" not in str(error.value) or typed == "helsea.png"


def test_a_similar_collection_is_suggested(db, album):
    with pytest.raises(InputError, match=r"no collection 'albun' in .*; did you mean album\?$"):
        db.collection("albun").search(1)
