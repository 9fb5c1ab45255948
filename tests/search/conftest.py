"""Shops to search in."""

from contextlib import contextmanager

import pytest

import lookalike
from lookalike import IndexSizes
from tests.search.shops import DIM, Shop


@pytest.fixture
def shop(engine):
    shop = Shop(engine.collection("shop", dim=DIM), 600)
    shop.store()
    return shop


@contextmanager
def filled(url):
    with lookalike.connect(url, index_sizes=IndexSizes(rows_for_cells=2000)) as db:
        shop = Shop(db.collection("shop", dim=DIM))
        shop.store()
        yield shop


@pytest.fixture
def large(database_url):
    """A shop whose index has cells."""
    with filled(database_url) as shop:
        yield shop


@pytest.fixture(scope="module")
def large_to_read(module_database_url):
    """Such a shop that a module's tests share: they only read."""
    with filled(module_database_url) as shop:
        yield shop
