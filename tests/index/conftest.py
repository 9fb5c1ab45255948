"""A collection with an index."""

import pytest

from lookalike.index import training
from tests.index.clusters import DIM, N, clustered, names


@pytest.fixture
def small(monkeypatch):
    """Training from 50 rows on, and cells from 200 on."""
    monkeypatch.setattr(training, "FEWEST_ROWS", 50)
    monkeypatch.setattr(training, "ROWS_FOR_CELLS", 200)


@pytest.fixture
def vectors():
    return clustered(N)


@pytest.fixture
def indexed(db, small, vectors):
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings(names(N), vectors)
    return collection
