"""What Ray's workers do, without Ray: every file comes back as a row."""

import numpy as np
import pyarrow
import pytest

import lookalike
from lookalike.core import threads
from lookalike.images.decode import open_image
from lookalike.pipeline.ray import workers
from lookalike.pipeline.ray.workers import (
    DAMAGED,
    FATAL,
    NOT_EMBEDDED,
    OUT_OF_REACH,
    SOUND,
    DecodeOptions,
    EmbeddingActor,
    ModelOptions,
)
from tests.pipeline.decoders import CROP, LIMIT, SEGFAULT
from tests.storages import web_server

MODEL = "efficientnet-lite2"


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """End this process's decoder, and take back the limit of its cores."""
    monkeypatch.setattr(threads, "_limit_of_cores", [2])
    yield
    for _, decoder in workers._decoders.values():
        decoder.close()
    workers._decoders.clear()


def decoded(paths, preprocessing=CROP):
    table = pyarrow.table({"number": range(len(paths)), "path": list(map(str, paths))})
    return workers.decode(table, DecodeOptions(preprocessing, LIMIT))


def options(**changed):
    return ModelOptions(MODEL, 1280, lookalike.__version__, None)._replace(**changed)


def test_files_come_back_as_pixels_or_with_a_reason(photos, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    rows = decoded([photos / "cat.jpg", tmp_path / "text.jpg", tmp_path / "gone.jpg"]).to_pylist()
    assert [row["outcome"] for row in rows] == [SOUND, DAMAGED, OUT_OF_REACH]
    assert [row["number"] for row in rows] == [0, 1, 2]
    assert rows[2]["reason"] == "No such file or directory"
    assert rows[1]["reason"] and not rows[1]["pixels"]
    about = (photos / "cat.jpg").stat()
    assert (rows[0]["size"], rows[0]["mtime_ns"]) == (about.st_size, about.st_mtime_ns)
    pixels = np.frombuffer(rows[0]["pixels"], np.uint8).reshape(16, 16, 3)
    expected = CROP(open_image(photos / "cat.jpg", short_side=20))
    np.testing.assert_array_equal(pixels, expected)


def test_files_at_urls_are_fetched_by_the_worker(photos):
    with web_server(photos) as url:
        there, gone = decoded([f"{url}cat.jpg", f"{url}none.jpg"]).to_pylist()
    (local,) = decoded([photos / "cat.jpg"]).to_pylist()
    assert (there["outcome"], gone["outcome"]) == (SOUND, OUT_OF_REACH)
    assert gone["reason"] == "No such file or directory"
    assert there["pixels"] == local["pixels"] and there["size"] == local["size"]
    assert there["mtime_ns"] == local["mtime_ns"] // 10**9 * 10**9
    (lost,) = decoded([f"{url}cat.jpg"]).to_pylist()
    assert lost["outcome"] == OUT_OF_REACH and "Cannot connect" in lost["reason"]


def test_an_image_that_kills_its_decoder_is_a_row_and_the_next_is_decoded(folder, hostile):
    preprocessing = hostile(SEGFAULT)._preprocessing()
    rows = decoded([folder / "hostile.png", folder / "sound.png"], preprocessing).to_pylist()
    assert [row["outcome"] for row in rows] == [DAMAGED, SOUND]
    assert "SIGSEGV" in rows[0]["reason"]


def test_tasks_of_one_process_share_a_decoder(photos):
    decoded([photos / "cat.jpg"])
    (first,) = (decoder for _, decoder in workers._decoders.values())
    decoded([photos / "cat.jpg"])
    (second,) = (decoder for _, decoder in workers._decoders.values())
    assert first is second


def test_an_actor_embeds_as_the_model_does_and_passes_failures_on(photos, tmp_path, embedded_model):
    paths = [photos / "cat.jpg", tmp_path / "gone.jpg", photos / "coffee.jpg"]
    table = decoded(paths, embedded_model.preprocessing)
    rows = EmbeddingActor(options(batch_size=1))(table).to_pylist()
    assert [row["outcome"] for row in rows] == [SOUND, OUT_OF_REACH, SOUND]
    assert rows[1]["reason"] == "No such file or directory"
    side = embedded_model.preprocessing.short_side
    for place in (0, 2):
        pixels = embedded_model.preprocessing(open_image(paths[place], short_side=side))
        (expected,) = embedded_model.embed_batch(pixels[None])
        np.testing.assert_array_equal(np.frombuffer(rows[place]["embedding"], np.float32), expected)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"version": "0.0.1"}, f"it has lookalike {lookalike.__version__}, not 0.0.1"),
        ({"dim": 3}, "it loads another model"),
        ({"id": "/no/such/folder"}, "/no/such/folder is not a model"),
    ],
)
def test_a_worker_that_is_at_fault_says_so(photos, changed, reason):
    table = decoded([photos / "cat.jpg"], lookalike.load_model(MODEL).preprocessing)
    (row,) = EmbeddingActor(options(**changed))(table).to_pylist()
    assert row["outcome"] == FATAL
    assert row["reason"].startswith("a worker on ") and reason in row["reason"]


def test_an_image_that_the_model_cannot_embed_is_a_failure(photos, monkeypatch):
    class Blind:
        id, dim = MODEL, 1280

        def embed_images(self, images):
            return np.zeros((len(images), 1280), np.float32)

    actor = EmbeddingActor(options())
    monkeypatch.setattr(actor, "_loaded", Blind())
    (row,) = actor(decoded([photos / "cat.jpg"])).to_pylist()
    assert row["outcome"] == NOT_EMBEDDED
    assert row["reason"].startswith("the model cannot embed it: ")


def test_an_actor_leaves_the_other_cores_to_others(photos):
    table = decoded([photos / "cat.jpg"], lookalike.load_model(MODEL).preprocessing)
    actor = EmbeddingActor(options())
    actor(table)
    assert actor._loaded._threads == 1
