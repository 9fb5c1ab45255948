"""A Ray cluster of three raylets on loopback, and real images for it to embed."""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from PIL import Image

from lookalike.images.decode import open_image
from tests.places import PHOTOS

NODES = 3
SIZE = (300, 225)
SETTINGS = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}
STORE = 100_000_000


class Raylets:
    """A running cluster; address: HOST:PORT of its head."""

    def __init__(self, cluster, nodes) -> None:
        self.address = cluster.address
        self._nodes = nodes

    def kill_worker(self, name: str) -> bool:
        """Kill one process whose title contains a name, with -9; return whether there is one."""
        for process in self._workers():
            if name in " ".join(process.cmdline()):
                process.kill()
                return True
        return False

    def kill_node(self) -> int:
        """Kill a node that is not the head, with -9; return how many workers it had."""
        node = self._nodes.pop()
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        workers = len([p for p in raylet.children() if is_worker(p)])
        raylet.kill()
        return workers

    def _workers(self) -> list[psutil.Process]:
        raylets = [node.all_processes["raylet"][0].process.pid for node in self._nodes]
        return [p for pid in raylets for p in psutil.Process(pid).children() if is_worker(p)]


def is_worker(process: psutil.Process) -> bool:
    try:
        return any(part.startswith("ray::") for part in process.cmdline())
    except psutil.NoSuchProcess:
        return False


@contextmanager
def raylets(folder: Path, path: str = "") -> Iterator[Raylets]:
    """Run a cluster of three nodes, of two cores each; path: further folders of modules."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        folder.mkdir(mode=0o700)
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("PYTHONPATH", os.pathsep.join([path, os.environ.get("PYTHONPATH", "")]))
        from ray.cluster_utils import Cluster

        head = {
            "node_ip_address": "127.0.0.1",
            "include_dashboard": False,
            "num_cpus": 2,
            "object_store_memory": STORE,
        }
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            node = {"node_ip_address": "127.0.0.1", "num_cpus": 2, "object_store_memory": STORE}
            nodes = [cluster.add_node(**node) for _ in range(NODES - 1)]
            cluster.wait_for_nodes()
            yield Raylets(cluster, [cluster.head_node, *nodes])
        finally:
            cluster.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


def crops(folder: Path, n: int) -> list[Path]:
    """Write n different parts of the example photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    photos = [open_image(path) for path in sorted(PHOTOS.iterdir()) if path.suffix != ".md"]
    rng = random.Random(1)
    files = [folder / f"{number:05d}.jpg" for number in range(n)]
    for number, file in enumerate(files):
        photo = photos[number % len(photos)]
        share = rng.uniform(0.3, 0.9)
        width, height = (round(side * share) for side in photo.size)
        left, top = rng.randrange(photo.width - width), rng.randrange(photo.height - height)
        crop = photo.crop((left, top, left + width, top + height))
        crop.resize(SIZE, Image.Resampling.BILINEAR).save(file, quality=90)
    return files
