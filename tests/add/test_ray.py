"""`add` on a Ray cluster whose workers and nodes die gives what `add` gives on one machine."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike import InputError, RayCluster
from tests.colours import TABLE, Colours
from tests.pipeline.decoders import HOSTILE, SEGFAULT
from tests.ray_cluster import crops, raylets

N = int(os.environ.get("LOOKALIKE_RAY_IMAGES", "600"))
MODEL = "efficientnet-lite2"


# Ray itself uses what it calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")


@pytest.fixture(scope="module")
def hostile_modules(tmp_path_factory):
    """A folder with a module whose preprocessing is hit by an image 7 pixels wide."""
    modules = tmp_path_factory.mktemp("modules")
    (modules / "hostile.py").write_text(HOSTILE)
    return modules


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Real images, a copy of one, a text, and the one that kills its decoder."""
    folder = tmp_path_factory.mktemp("images")
    files = crops(folder, N)
    (folder / "copy.jpg").write_bytes(files[0].read_bytes())
    (folder / "text.jpg").write_text("no image")
    Image.new("RGB", (7, 7), (9, 8, 7)).save(folder / "hostile.png")
    return folder


@pytest.fixture(scope="module")
def cluster(hostile_modules):
    # A short path, as that of a socket is limited to 107 bytes.
    folder = Path("/tmp") / f"lookalike-test-ray-{os.getpid()}"
    with raylets(folder, str(hostile_modules)) as running:
        yield running


@pytest.fixture
def model(hostile_modules, monkeypatch):
    monkeypatch.syspath_prepend(hostile_modules)
    from hostile import Hostile

    loaded = lookalike.load_model(MODEL)
    loaded._preprocessing = Hostile(298, 260, act=SEGFAULT)
    return loaded


def stored(db, collection):
    """The embeddings of the stored files, by their names; each name is there once."""
    query = f"SELECT image_name, CAST(embedding AS BINARY) FROM {collection.name}"
    rows = db.rows(query)[1]
    found = {name: np.frombuffer(packed, np.float32) for name, packed in rows}
    assert len(found) == len(rows)
    return found


class Faults:
    """Kills workers and a node, and deletes a file, while images are being stored."""

    def __init__(self, cluster, last: Path) -> None:
        self._last = last
        self._cluster = cluster
        self._due = [
            (N // 8, lambda: cluster.kill_worker("EmbeddingActor")),
            (N // 3, cluster.kill_node),
        ]
        self.killed = []

    def __call__(self, done, total):
        if done and self._last.exists():
            self._last.unlink()
            self.killed.append(self._cluster.kill_worker("decode"))
        while self._due and done >= self._due[0][0]:
            self.killed.append(self._due.pop(0)[1]())


@pytest.mark.nightly
def test_killed_workers_and_nodes_lose_nothing(db, cluster, images, model):
    expected = db.collection("on_one_machine", model=model)
    expected.add(images)
    last = images / f"{N - 1:05d}.jpg"
    content = last.read_bytes()
    faults = Faults(cluster, last)
    rayed = db.collection("on_ray", model=model)
    report = rayed.add(
        images, ray=RayCluster(cluster.address, workers=(2, 3)), batch_size=8, progress=faults
    )
    assert len(faults.killed) == 3 and all(faults.killed)

    failed = {failure.path.name: failure.reason for failure in report.failed}
    assert failed.keys() == {last.name, "text.jpg", "hostile.png"}
    assert failed[last.name] == "No such file or directory"
    assert "SIGSEGV" in failed["hostile.png"]
    assert {failure.path.name for failure in rayed.failures()} == failed.keys()
    assert (report.added, report.reused) == (N - 1, 1)
    of_one, of_ray = stored(db, expected), stored(db, rayed)
    assert of_one.keys() - of_ray.keys() == {last.name}
    for name, embedding in of_ray.items():
        np.testing.assert_allclose(embedding, of_one[name], rtol=1e-4, atol=1e-4)

    last.write_bytes(content)
    again = rayed.add(images, ray=RayCluster(cluster.address))
    assert (again.added, again.unchanged, again.failed) == (1, N, ())
    assert len(again.failed_before) == 2
    assert stored(db, rayed).keys() == of_one.keys()
    nothing = rayed.add(images, ray=RayCluster(cluster.address))
    assert nothing.added == 0 and "ray" not in nothing.stages


def test_a_model_of_ones_own_is_refused(db, photos):
    colours = db.collection(TABLE, model=Colours())
    with pytest.raises(InputError, match="Ray's workers load a model by its name"):
        colours.add(photos, ray=RayCluster())


def test_a_cluster_is_a_cluster(db, photos):
    with pytest.raises(InputError, match="ray is '127.0.0.1:6379'; give a RayCluster"):
        db.collection(TABLE, model=MODEL).add(photos, ray="127.0.0.1:6379")
