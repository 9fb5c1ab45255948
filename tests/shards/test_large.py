"""200,000 vectors over four shards, compared with numpy."""

import numpy as np
import pytest

import lookalike
from tests.shard_servers import shard_servers

pytestmark = pytest.mark.nightly
N, DIM, CENTRES, BATCH = 200_000, 32, 2000, 5000
SHARDS = ["shard1", "shard2", "shard3", "shard4"]


@pytest.fixture(scope="module")
def filled(installed_mariadbd):
    """The collection and its unit vectors; row i + 1 is named by i modulo 100."""
    rng = np.random.default_rng(5)
    vectors = rng.normal(size=(CENTRES, DIM))[rng.integers(CENTRES, size=N)]
    vectors = (vectors + 0.5 * rng.normal(size=vectors.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    late = lookalike.IndexSizes(rows_for_cells=N + 1)
    with shard_servers(installed_mariadbd) as servers:
        with lookalike.connect(servers.url, index_sizes=late) as db:
            photos = db.collection("photos", dim=DIM, shards=SHARDS)
            for start in range(0, N, BATCH):
                names = [f"{number % 100}.jpg" for number in range(start, start + BATCH)]
                photos.upsert(vectors[start : start + BATCH], names=names)
        with lookalike.connect(servers.url) as db:
            photos = db.collection("photos")
            assert photos.index.build()
            yield photos, vectors


def test_a_large_collection_is_searched_by_the_indexes_of_its_shards(filled):
    photos, vectors = filled
    status = photos.status()
    assert (status.rows, status.index) == (N, "server")
    rng, hits = np.random.default_rng(6), 0
    chosen = vectors[rng.integers(N, size=50)]
    for query in chosen + 0.1 * rng.normal(size=chosen.shape).astype(np.float32):
        found = photos.search(query, k=10)
        assert len(found) == 10
        hits += len({match.id for match in found} & set(np.argsort(-(vectors @ query))[:10] + 1))
    assert hits >= 480


def test_its_filters_are_exact(filled):
    photos, vectors = filled
    passing = np.arange(N) % 100 < 2
    for query in vectors[:3]:
        expected = np.argsort(-np.where(passing, vectors @ query, -2))[:10] + 1
        found = photos.search(query, k=10, where="image_name in (0.jpg, 1.jpg)")
        assert [match.id for match in found] == expected.tolist()
