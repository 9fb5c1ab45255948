"""Image files to embeddings, with real decoders and models that compute next to nothing."""

import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from lookalike.core.errors import EmbeddingError, ImageError, ModelError
from lookalike.models.base import BatchModel
from lookalike.models.lazy import LazyModel
from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.embedder import PLAIN_BATCH, Embedder, Job
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.tasks import TaskGroup

N = 10


class Plain:
    """A model of whole images: an embedding is the mean colour."""

    id, dim, has_text = "plain", 3, False

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def embed_images(self, images):
        assert all(image.mode == "RGB" for image in images)
        self.batches.append([image.size for image in images])
        return np.stack([np.asarray(image, np.float32).mean((0, 1)) for image in images])

    def embed_texts(self, texts):
        raise ModelError("no text")


class Batch(Plain):
    """A model of preprocessed images; the colours in `bad` have no embedding."""

    id, batch_size, precision = "batch", 4, "float32"
    preprocessing = Preprocessing(short_side=20, crop=16)
    bad: tuple[int, ...] = ()

    def embed_batch(self, pixels):
        assert isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
        self.batches.append(pixels.shape)
        means = pixels.astype(np.float32).mean((1, 2))
        means[np.isin(means[:, 0], self.bad)] = np.nan
        return means


@pytest.fixture
def files(tmp_path) -> list[Path]:
    """Images whose red is their number, from 1."""
    paths = [tmp_path / f"{number}.png" for number in range(1, N + 1)]
    for number, path in enumerate(paths, start=1):
        Image.new("RGB", (30, 40), (number, 100, 200)).save(path)
    return paths


def embed(files, model, **options) -> list[list[Job]]:
    """Return the batches of what has become of the files."""
    options = {"batch_size": None, "time_limit": 30.0, "meter": Meter()} | options
    embedder = Embedder(LazyModel.of(model), lambda path: path, **options)

    def feed() -> None:
        for file in files:
            channel.put(file)
        channel.close()

    with TaskGroup() as group:
        channel = group.channel(2)
        group.start("feed", feed)
        return list(embedder.embed(group, channel))


def by_number(batches: list[list[Job]]) -> dict[int, Job]:
    jobs = [job for batch in batches for job in batch]
    found = {int(job.item.stem): job for job in jobs}
    assert len(found) == len(jobs), "a file came back twice"
    return found


def test_each_file_comes_back_once_with_its_embedding(files):
    jobs = by_number(embed(files, Batch()))
    assert sorted(jobs) == list(range(1, N + 1))
    for number, job in jobs.items():
        assert np.array_equal(job.embedding, [number, 100, 200]) and job.error is None
        assert job.decoded.size == job.item.stat().st_size


def test_batches_are_of_the_models_size(files):
    model = Batch()
    assert isinstance(model, BatchModel)
    batches = embed(files, model)
    assert sorted(len(batch) for batch in batches) == [2, 4, 4]
    assert sorted(model.batches) == [(2, 16, 16, 3), (4, 16, 16, 3), (4, 16, 16, 3)]


def test_batches_are_of_the_size_that_is_asked_for(files):
    for model, kind in ((Batch(), tuple), (Plain(), list)):
        assert [len(batch) for batch in embed(files, model, batch_size=5)][:2] == [5, 5]
        assert all(isinstance(batch, kind) for batch in model.batches)


def test_a_plain_model_gets_whole_images(files):
    model = Plain()
    assert not isinstance(model, BatchModel)
    jobs = by_number(embed(files, model))
    assert model.batches == [[(30, 40)] * N] and N < PLAIN_BATCH
    assert np.array_equal(jobs[3].embedding, [3, 100, 200])


def test_large_images_make_small_batches(files):
    model = Plain()
    embed(files, model, max_batch_bytes=2 * 30 * 40 * 3)
    assert sorted(len(batch) for batch in model.batches) == [1, 3, 3, 3]


def test_files_that_cannot_be_read_come_back_with_the_reason(files):
    files[2].write_text("a shopping list")
    files[5].unlink()
    model = Batch()
    jobs = by_number(embed(files, model))
    assert {number: str(job.error) for number, job in jobs.items() if job.error} == {
        3: "not an image that can be read",
        6: "No such file or directory",
    }
    assert sum(shape[0] for shape in model.batches) == N - 2


def test_no_sound_file_needs_no_embedding(files):
    for file in files:
        file.write_bytes(b"")
    model = Batch()
    jobs = by_number(embed(files, model))
    assert len(jobs) == N and all(isinstance(job.error, ImageError) for job in jobs.values())
    assert model.batches == []


def test_no_file_needs_no_model():
    def fail() -> Batch:
        raise AssertionError("loaded")

    embedder = Embedder(
        LazyModel(fail), lambda path: path, batch_size=None, time_limit=1.0, meter=Meter()
    )
    with TaskGroup() as group:
        channel = group.channel(1)
        group.start("feed", channel.close)
        assert list(embedder.embed(group, channel)) == []


def test_one_batch_is_embedded_beside_another(files):
    class Meeting(Batch):
        batch_size = N // 5
        together = threading.Barrier(2)

        def embed_batch(self, pixels):
            if self.batches:  # the first is alone
                self.together.wait(timeout=30)  # broken, it raises
            return super().embed_batch(pixels)

    assert len(by_number(embed(files, Meeting()))) == N


def test_a_small_bad_batch_does_not_overtake_the_first(files):
    class Slow(Batch):
        bad = (10,)

        def embed_batch(self, pixels):
            time.sleep(0.3 if len(pixels) == 9 else 0)
            return super().embed_batch(pixels)

    jobs = by_number(embed(files, Slow(), batch_size=9))
    assert {number for number, job in jobs.items() if job.error} == {10}


def test_a_batch_may_be_larger_than_what_has_failed_may(files):
    for file in files[:3]:
        file.write_bytes(b"")
    model = Batch()
    assert len(by_number(embed(files, model, batch_size=7, max_failed=2))) == N
    assert sum(shape[0] for shape in model.batches) == 7
    model = Batch()
    embed(files, model, batch_size=7, max_failed=4)
    assert model.batches == [(7, 16, 16, 3)]


def test_a_plain_model_is_in_one_thread_at_a_time(files):
    class Alone(Plain):
        inside = threading.Lock()

        def embed_images(self, images):
            assert self.inside.acquire(blocking=False)
            time.sleep(0.02)
            self.inside.release()
            return super().embed_images(images)

    assert len(by_number(embed(files, Alone(), batch_size=1))) == N


def test_an_embedding_that_is_none_is_the_images_failure(files):
    model = Batch()
    model.bad = (2, 7)
    jobs = by_number(embed(files, model))
    bad = {number for number, job in jobs.items() if job.error}
    assert bad == {2, 7}
    assert str(jobs[2].error).startswith("the model cannot embed it: ")
    assert "NaN" in str(jobs[2].error) and jobs[2].embedding is None


def test_a_model_that_embeds_nothing_is_told(files):
    model = Batch()
    model.bad = tuple(range(1, N + 1))
    with pytest.raises(EmbeddingError, match="NaN"):
        embed(files, model)


def test_an_error_of_the_model_is_raised(files):
    class Broken(Batch):
        def embed_batch(self, pixels):
            raise ModelError("out of memory")

    with pytest.raises(ModelError, match="^out of memory$"):
        embed(files, Broken())


def test_a_decoder_that_cannot_be_started_ends_the_run(files, monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")
    with pytest.raises(Exception, match="cannot start a process for decoding images"):
        embed(files, Batch())


def test_no_child_is_left_behind(files):
    before = set(psutil.Process().children())
    meter = Meter()
    embed(files, Batch(), meter=meter)
    assert set(psutil.Process().children()) <= before
    assert set(meter.rates()) == {"decode", "embed"}


def test_the_time_of_batches_side_by_side_counts_once(monkeypatch):
    clock = iter([10.0, 12.0, 20.0, 21.0])
    monkeypatch.setattr("lookalike.pipeline.meter.perf_counter", lambda: next(clock))
    meter = Meter()
    with meter.time_shared("embed", 4), meter.time_shared("embed", 3):
        pass
    with meter.time_shared("embed", 2):
        pass
    assert meter.rates() == {"embed": 9 / (2 + 1)}
