"""Screening images against a collection."""

import itertools
import socket
import tempfile
import threading
import time
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.images.decode import open_image
from lookalike.pipeline.decoder import Decoder
from lookalike.screening.screener import MAX_IN_MEMORY, Screener
from tests.one_connection import one_connection


@pytest.fixture
def blocklist(db, photos, embedded_model):
    collection = db.collection("prohibited", model=embedded_model)
    collection.add(*(photos / name for name in ("cat.jpg", "bee.jpg", "rocket.jpg", "moose.webp")))
    return collection


def test_each_image_is_judged_in_its_order(blocklist, photos, tmp_path):
    (tmp_path / "bad.jpg").write_text("a shopping list")
    given = [
        photos / "cat-crop.jpg",
        str(photos / "grass.jpg"),
        tmp_path / "bad.jpg",
        "gone.jpg",
        "",
    ]
    crop, grass, bad, gone, empty = blocklist.screen(given)
    assert [each.image for each in (crop, grass, bad, gone, empty)] == given
    assert empty.error.startswith("a path is empty")
    assert crop.matches[0].image_name == "cat.jpg" and not crop.is_clean
    assert grass.is_clean and grass.matches == ()
    assert bad.error == "not an image that can be read" and not bad.is_clean
    assert gone.error == "No such file or directory" and not gone.is_clean


def test_similarities_are_those_of_the_model(blocklist, photos, embedded_model):
    one, other = embedded_model.embed_images(
        [open_image(photos / name) for name in ("cat.jpg", "cat-mirrored.jpg")]
    )
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    (found,) = blocklist.screen([photos / "cat-mirrored.jpg"])
    assert found.matches[0].similarity == pytest.approx(cosine, abs=1e-3)


def test_bytes_and_pictures_are_judged_too(blocklist, photos):
    content = (photos / "bee-mirrored.jpg").read_bytes()
    picture = Image.open(photos / "rocket-small.jpg")
    found = list(blocklist.screen([content, picture, b"no image"]))
    assert [each.matches[0].image_name for each in found[:2]] == ["bee.jpg", "rocket.jpg"]
    assert found[2].error is not None


def test_a_picture_that_is_damaged_is_an_error(blocklist, photos):
    damaged = Image.open(BytesIO((photos / "cat.jpg").read_bytes()[:2000]))
    bad, good = blocklist.screen([damaged, photos / "cat.jpg"])
    assert "truncated" in bad.error and good.matches


def test_one_slow_image_holds_up_a_bounded_number(blocklist, photos, monkeypatch):
    decode, given, slow = Decoder.decode, [], threading.Event()

    def wait(decoder, path):
        if path.name == "cat.jpg":
            assert slow.wait(30)
        return decode(decoder, path)

    def images():
        for image in [photos / "cat.jpg", *[photos / "bee.jpg"] * 50]:
            given.append(image)
            yield image
            if len(given) == 51:
                slow.set()

    monkeypatch.setattr(Decoder, "decode", wait)
    threading.Timer(2, slow.set).start()
    state = blocklist._state
    screener = Screener(
        state.index, state.model, min_similarity=0.9, k=1, look_ahead=4, notify=state.notify
    )
    answers = screener.screen(images())
    assert next(answers).image.name == "cat.jpg"
    assert len(given) < 30, "images were taken while the first was not decoded"
    assert len(list(answers)) == 50


def test_a_connection_that_is_lost_is_opened_again(db, blocklist, photos, database_url):
    answers = blocklist.screen([photos / "cat.jpg", photos / "bee.jpg"])
    assert next(answers).matches
    (own,) = db.rows("SELECT CONNECTION_ID()")[1][0]
    with one_connection(database_url) as other:
        other.rows(f"KILL {own}")
    assert next(answers).matches


@pytest.mark.parametrize("metric", ["euclidean", "dot"])
def test_other_metrics_need_a_threshold(db, photos, embedded_model, metric):
    own = db.collection("own", model=embedded_model, metric=metric)
    own.add(photos / "cat.jpg")
    with pytest.raises(
        InputError, match=f"no threshold was measured for the metric {metric}: give"
    ):
        list(own.screen([photos / "cat.jpg"]))
    least = -5.0 if metric == "euclidean" else 10.0
    own.threshold.set(least)
    assert own.threshold.get() == least
    found = own.threshold.calibrate([photos / "cat-dark.jpg"], [photos / "grass.jpg"], store=True)
    assert own.threshold.get() == found.min_similarity
    own.threshold.set(least)
    same, other = own.screen([photos / "cat.jpg", photos / "grass.jpg"])
    assert same.matches
    if metric == "euclidean":
        assert other.is_clean
        with pytest.raises(InputError, match=r"0\.92; .* at most 0"):
            own.threshold.set(0.92)
    with pytest.raises(InputError, match="nan"):
        list(own.screen([photos / "cat.jpg"], min_similarity=float("nan")))


def test_a_model_without_a_measured_threshold_has_none(db, photos, blocklist):
    db.rows("UPDATE lookalike_collections SET model = 'clip-ViT-B-32'")
    with pytest.raises(InputError, match="clip-ViT-B-32: give --min-similarity, or measure one"):
        print(db.collection("prohibited").threshold.get())


def test_a_threshold_that_cannot_be_read_is_not_taken_for_none(db, blocklist, photos):
    blocklist.threshold.set(0.5)
    name = db.connection.url.database
    db.rows("CREATE USER IF NOT EXISTS half@localhost")
    tables = [row[0] for row in db.rows("SHOW TABLES")[1]]
    for table in tables:
        if table != "lookalike_thresholds":
            db.rows(f"GRANT SELECT ON {name}.{table} TO half@localhost")
    socket = db.connection.url.options["unix_socket"]
    try:
        with lookalike.connect(f"mysql://half@localhost/{name}?unix_socket={socket}") as half:
            blocked = half.collection("prohibited")
            with pytest.raises(DatabaseError, match="lacks a privilege"):
                list(blocked.screen([photos / "cat.jpg"]))
    finally:
        db.rows("DROP USER half@localhost")


def test_a_url_of_this_machine_is_not_judged(blocklist):
    (found,) = blocklist.screen(["http://127.0.0.1:9/a.jpg"])
    assert "not on the public internet" in found.error


def test_a_server_that_another_kind_of_url_names_is_not_asked(blocklist):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        url = f"ftp://127.0.0.1:{server.getsockname()[1]}/a.jpg"
        (found,) = blocklist.screen([url], folders=True)
        with pytest.raises(TimeoutError):
            server.accept()
    assert "No such file" in found.error


def test_an_answer_does_not_wait_for_the_next_image(blocklist, photos):
    answers = []

    def uploads():
        for name in ("cat-crop.jpg", "grass.jpg", "bee.jpg"):
            yield photos / name
            # The next is given only once this one is answered.
            while not answers or answers[-1].image.name != name:
                time.sleep(0.01)

    for answer in blocklist.screen(uploads()):
        answers.append(answer)
    assert [bool(each.matches) for each in answers] == [True, False, True]


def test_images_without_end_can_be_left(blocklist, photos):
    endless = itertools.repeat(photos / "cat.jpg")
    found = blocklist.screen(endless)
    assert all(each.matches for each in itertools.islice(found, 40))
    found.close()


@pytest.mark.parametrize("size", [(400, 300), (1200, 900)])
def test_uploads_are_nowhere_to_be_found(blocklist, photos, tmp_path, monkeypatch, size):
    """Neither small ones, which stay in memory, nor large ones have a name in a folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    picture = Image.open(photos / "cat.jpg").resize(size)
    stream = BytesIO()
    picture.save(stream, "BMP")
    seen = []

    def images():
        for image in (picture, stream.getvalue(), "no such file"):
            yield image
            seen.append(sorted(tmp_path.rglob("*")))

    for answer in blocklist.screen(images()):
        seen.append(sorted(tmp_path.rglob("*")))
        assert bool(answer.error) == isinstance(answer.image, str)
        assert answer.error or answer.matches[0].image_name == "cat.jpg"
    assert seen == [[]] * 6


def test_an_upload_that_does_not_fit_on_the_disk_is_not_judged(blocklist, photos, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")  # where no file can be made
    large = b"BM" + bytes(MAX_IN_MEMORY)
    bad, good = blocklist.screen([large, photos / "cat.jpg"])
    assert bad.error.startswith("it cannot be read: ") and good.matches


def test_a_blocklist_that_is_not_there_is_named(db, photos):
    with pytest.raises(InputError, match="there is no collection 'nowhere'"):
        list(db.collection("nowhere").screen([photos / "cat.jpg"]))


def test_the_threshold_is_kept_with_the_blocklist(db, blocklist, photos):
    assert blocklist.threshold.get() == 0.7
    blocklist.threshold.set(0.99)
    again = db.collection("prohibited")
    assert again.threshold.get() == 0.99
    (found,) = again.screen([photos / "cat-crop.jpg"])
    assert found.is_clean
    (found,) = again.screen([photos / "cat-crop.jpg"], min_similarity=0.9)
    assert not found.is_clean
    with pytest.raises(InputError, match="min_similarity is 2"):
        blocklist.threshold.set(2)


def test_examples_suggest_a_threshold(blocklist, photos):
    variants = [photos / name for name in ("cat-crop.jpg", "cat-dark.jpg", "bee-mirrored.jpg")]
    others = [str(photos / "co*.jpg"), photos / "grass.jpg"]
    found = blocklist.threshold.calibrate(variants, others)
    assert (found.false_positive_rate, found.false_negative_rate) == (0, 0)
    assert (found.positives, found.negatives) == (3, 4)
    best = [each.matches[0].similarity for each in blocklist.screen(variants, min_similarity=-1)]
    worst = [
        each.matches[0].similarity
        for each in blocklist.screen(photos.glob("co*.jpg"), min_similarity=-1)
    ]
    assert max(worst) < found.min_similarity < min(best)
    assert blocklist.threshold.get() == 0.7
    blocklist.threshold.calibrate(variants, others, store=True)
    assert blocklist.threshold.get() == found.min_similarity


def test_folders_and_globs_are_walked_when_asked(blocklist, photos, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "empty").mkdir()
    for name in ("cat.jpg", "grass.jpg", "bee.jpg"):
        (tmp_path / "deep" / name).write_bytes((photos / name).read_bytes())
    content = (photos / "rocket.jpg").read_bytes()
    given = [tmp_path / "deep", str(tmp_path / "deep" / "[bg]*"), content, tmp_path / "empty"]
    found = list(blocklist.screen(given, folders=True, exclude=["cat*"]))
    deep = tmp_path / "deep"
    assert [each.image for each in found] == [
        *(deep / "bee.jpg", deep / "grass.jpg", deep / "bee.jpg", deep / "grass.jpg"),
        *(content, tmp_path / "empty"),
    ]
    assert [bool(each.matches) for each in found] == [True, False, True, False, True, False]
    assert [each.error for each in found] == [None] * 5 + ["no images in it"]
    (alone,) = blocklist.screen([deep])
    assert alone.error and not alone.is_clean


def test_options_of_folders_need_folders(blocklist):
    for options in ({"hidden": True}, {"exclude": ["x"]}):
        with pytest.raises(InputError, match="no meaning without folders=True"):
            blocklist.screen([], **options)
    with pytest.raises(InputError, match="cannot exclude"):
        list(blocklist.screen([], folders=True, exclude=["a/**b[", "\\"]))
