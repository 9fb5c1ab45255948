"""Images into the database: what is stored, and what is left alone."""

import hashlib
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import InputError, ModelError
from lookalike.images.walk import ImageWalk


@pytest.fixture
def folder(tmp_path, photos):
    for name in ("cat.jpg", "rocket.jpg", "deep/moose.webp"):
        file = tmp_path / "images" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photos / file.name, file)
    return tmp_path / "images"


@pytest.fixture
def collection(db, embedded_model):
    return db.collection("photos", model=embedded_model)


def test_images_are_stored_with_their_files(db, collection, folder, embedded_model):
    report = collection.add(folder)
    assert (report.added, report.updated, report.unchanged, report.failed) == (3, 0, 0, ())
    rows = db.sql("SELECT * FROM photos JOIN photos_files USING (id) ORDER BY id")
    assert sorted(rows["image_name"]) == ["cat.jpg", "deep/moose.webp", "rocket.jpg"]
    for name, path, digest, size, embedding in zip(
        *(rows[c] for c in ("image_name", "path", "content_hash", "size", "embedding")), strict=True
    ):
        file = folder / name
        assert path == str(file)
        assert digest == hashlib.sha256(file.read_bytes()).digest()
        assert size == file.stat().st_size
        expected = embedded_model.embed_images([lookalike.images.decode.open_image(file)])[0]
        assert np.allclose(embedding, expected, atol=1e-4)


def test_adding_again_adds_nothing(collection, folder):
    collection.add(folder)
    report = collection.add(folder, folder / "cat.jpg", str(folder / "*.jpg"))
    assert (report.added, report.updated, report.unchanged) == (0, 0, 3)
    assert collection.count() == 3


def test_a_touched_file_is_not_embedded_again(collection, folder):
    collection.add(folder)
    os.utime(folder / "cat.jpg", ns=(1, 1))
    assert collection.add(folder).unchanged == 3


def test_a_changed_file_is_embedded_again_under_its_id(collection, folder, photos):
    collection.add(folder)
    before = {m.image_name: m.id for m in collection.search(1, exclude_self=False)}
    shutil.copy(photos / "galaxies-left.jpg", folder / "cat.jpg")
    report = collection.add(folder)
    assert (report.added, report.updated, report.unchanged) == (0, 1, 2)
    best = collection.search(photos / "galaxies-right.jpg", k=1)[0]
    assert best.image_name == "cat.jpg" and best.id == before["cat.jpg"]


def test_unreadable_files_are_reported_and_skipped(collection, folder):
    (folder / "bad.jpg").write_text("a shopping list")
    (folder / "empty.png").touch()
    report = collection.add(folder)
    assert report.added == 3
    assert sorted(failure.path.name for failure in report.failed) == ["bad.jpg", "empty.png"]


def test_a_name_that_is_not_utf8_is_reported(collection, folder):
    shutil.copy(folder / "cat.jpg", os.fsencode(folder) + b"/caf\xe9.jpg")
    report = collection.add(folder)
    assert report.added == 3
    assert "not UTF-8; rename the file" in report.failed[0].reason
    report.failed[0].reason.encode()


PATH_MAX = 4095  # bytes, on Linux


def test_a_path_that_is_too_long_to_be_stored_is_reported(collection, folder, monkeypatch):
    monkeypatch.chdir(folder)
    for _ in range((PATH_MAX - len(os.fspath(folder))) // 201):
        os.mkdir("d" * 200)  # noqa: PTH102
        os.chdir("d" * 200)
    Path("x" * 220 + ".jpg").write_bytes(b"no image")
    os.chdir(folder)
    for _ in range(2):
        report = collection.add(folder)
        (far,) = [each for each in report.failed if each.path.name.startswith("x")]
        assert far.reason == "File name too long"
    subprocess.run(["rm", "-r", folder / ("d" * 200)], check=True)  # too deep for pytest
    assert report.unchanged > 0


def test_a_file_named_like_sql_is_just_a_file(db, collection, folder):
    name = "x'); DROP TABLE image_embeddings; -- .jpg"
    (folder / "cat.jpg").rename(folder / name)
    collection.add(folder)
    assert collection.search(name, k=1, exclude_self=False)[0].image_name == name


def test_a_long_name_keeps_its_end(collection, folder):
    deep = folder / ("d" * 200) / ("e" * 200)
    deep.mkdir(parents=True)
    shutil.copy(folder / "cat.jpg", deep / "cat.jpg")
    collection.add(deep.parent.parent)
    names = [match.image_name for match in collection.search(1, exclude_self=False)]
    assert any(len(name) == 255 and name.endswith("e/cat.jpg") for name in names)


def test_two_adds_at_once_store_each_file_once(database_url, embedded_model, photos):
    reports = []

    def add():
        with lookalike.connect(database_url) as db:
            collection = db.collection("photos", model=embedded_model)
            reports.append(collection.add(photos, batch_size=4))

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with lookalike.connect(database_url) as db:
        n = len(list(ImageWalk([photos])))
        assert db.rows("SELECT COUNT(*), COUNT(DISTINCT path) FROM photos_files")[1] == [(n, n)]
        assert db.collection("photos").count() == n
    assert sum(report.added for report in reports) == n
    assert {report.added + report.unchanged for report in reports} == {n}


def test_a_failure_in_a_batch_leaves_none_of_it(db, collection, folder, monkeypatch):
    def fail(self, table, rows):
        return lookalike.Statement("SELECT 1 FROM no_such_table")

    monkeypatch.setattr(type(db.dialect), "insert_files", fail)
    with pytest.raises(lookalike.DatabaseError, match="no_such_table"):
        collection.add(folder)
    assert collection.count() == 0


def test_a_model_that_returns_nan_stores_nothing(db, folder):
    class Broken:
        id, dim, has_text = "broken", 2, False

        def embed_images(self, images):
            return np.full((len(images), 2), np.nan)

    with pytest.raises(lookalike.EmbeddingError, match="NaN"):
        db.collection("photos", model=Broken()).add(folder)
    assert db.collection("photos").count() == 0


def test_nothing_to_add_is_refused(db, collection, tmp_path):
    with pytest.raises(InputError, match="no images in"):
        collection.add(tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        collection.add(tmp_path / "nowhere")
    with pytest.raises(InputError, match="name at least one"):
        collection.add()
    assert db.collections() == []


def test_a_collection_remembers_its_model(db, collection, folder):
    collection.add(folder)

    class Other:
        id, dim, has_text = "other", 1280, False

    with pytest.raises(ModelError, match="'photos' holds embeddings of model efficientnet-lite2"):
        db.collection("photos", model=Other())
    with pytest.raises(ModelError, match="open it without dim="):
        db.collection("photos", dim=1280)
    again = db.collection("photos")
    assert again.model_id == "efficientnet-lite2"
    assert again.search(Image.open(folder / "cat.jpg"), k=1)[0].image_name == "cat.jpg"


def test_the_articles_table_is_a_collection(db, embedded_model, folder):
    db.rows(
        "CREATE TABLE image_embeddings (id INT PRIMARY KEY AUTO_INCREMENT, "
        "image_name VARCHAR(255), embedding VECTOR(1280))"
    )
    file = folder / "cat.jpg"
    vector = embedded_model.embed_images([lookalike.images.decode.open_image(file)])[0]
    db.rows("INSERT INTO image_embeddings (image_name, embedding) VALUES ('t', %s)", (vector,))
    adopted = db.collection(model=embedded_model)
    assert adopted.search(file)[0].image_name == "t"
    assert adopted.records([1])[0].path is None
    assert db.rows("SHOW TABLES")[1] == [("image_embeddings",)]  # a search makes nothing
    adopted.add(folder)
    assert adopted.count() == 4 and db.collection().model_id == "efficientnet-lite2"


def test_a_table_of_something_else_is_refused(db):
    db.rows("CREATE TABLE image_embeddings (id INT PRIMARY KEY, note TEXT)")
    with pytest.raises(InputError, match="needs the columns id, image_name and embedding"):
        db.collection()


def test_a_model_of_another_dim_is_refused(db, embedded_model):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY, image_name TEXT, embedding VECTOR(512))")
    with pytest.raises(ModelError, match="length 512, and model efficientnet-lite2 makes 1280"):
        db.collection("t", model="efficientnet-lite2").search(Image.new("RGB", (8, 8)))


def test_searching_before_adding_says_so(db):
    with pytest.raises(InputError, match="no collection 'photos' .*; it has no collections yet"):
        db.collection("photos", dim=3).search(1)


def test_a_length_that_no_vector_has_is_refused(db):
    for dim in (0, 16384):
        with pytest.raises(InputError, match=f"dim is {dim}; MySQL stores"):
            db.collection("own", dim=dim)


def test_tables_of_other_names_are_no_collections(db, collection, folder):
    collection.add(folder)
    columns = "(id INT, image_name TEXT, embedding VECTOR(3))"
    db.rows(f"CREATE TABLE `shop-images` {columns}")
    db.rows(f"CREATE TABLE `2024_images` {columns}")
    assert db.collections() == [collection.name]


def test_a_table_whose_ids_are_no_integers_is_refused(db):
    db.rows("CREATE TABLE own (id CHAR(36), image_name TEXT, embedding VECTOR(3))")
    with pytest.raises(InputError, match=r"its id is of type char\(36\); an integer is needed"):
        db.collection("own")


def test_a_side_table_is_no_collection(db, collection, folder):
    collection.add(folder)
    assert db.collections() == ["photos"]
    with pytest.raises(InputError, match="'photos_files' is not a collection"):
        db.collection("photos_files")


def test_a_dropped_table_is_forgotten(db, collection, folder):
    collection.add(folder)
    db.rows("DROP TABLE photos_files, photos")
    again = db.collection("photos", dim=3)
    again.add_embeddings(["a"], [[1, 2, 3]])
    assert db.collection("photos").dim == 3 and db.collection("photos").model_id is None


@pytest.mark.slow
def test_hundreds_of_copies_of_one_long_embedding_are_added(db, folder):
    class Long:
        id, dim, has_text = "long", 16383, False

        def embed_images(self, images):
            return np.full((len(images), self.dim), 0.5, np.float32)

    # Together they are more than a server takes in one statement.
    for i in range(700):
        shutil.copy(folder / "cat.jpg", folder / f"{i}.jpg")
    collection = db.collection("photos", model=Long())
    report = collection.add(folder)
    assert (report.added, report.reused) == (3, 700)
    assert db.rows("SELECT COUNT(DISTINCT path), COUNT(*) FROM photos_files")[1] == [(703, 703)]
