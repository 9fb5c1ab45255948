"""A collection with an index."""

import pytest

from tests.index.clusters import DIM, SMALL, N, clustered, names


@pytest.fixture
def index_sizes():
    """Training from 50 rows on, and cells from 200 on."""
    return SMALL


@pytest.fixture
def vectors():
    return clustered(N)


@pytest.fixture
def indexed(db, vectors):
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings(names(N), vectors)
    return collection
