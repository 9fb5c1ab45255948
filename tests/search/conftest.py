"""Shops to search in."""

import pytest

import lookalike
from lookalike import IndexSizes
from tests.search.shops import DIM, Shop


@pytest.fixture
def shop(engine):
    shop = Shop(engine.collection("shop", dim=DIM), 600)
    shop.store()
    return shop


@pytest.fixture
def large(database_url):
    """A shop whose index has cells."""
    with lookalike.connect(database_url, index_sizes=IndexSizes(rows_for_cells=2000)) as db:
        shop = Shop(db.collection("shop", dim=DIM))
        shop.store()
        yield shop
