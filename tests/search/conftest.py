"""Shops to search in."""

import pytest

from lookalike.index import training
from tests.search.shops import DIM, Shop


@pytest.fixture
def shop(engine):
    shop = Shop(engine.collection("shop", dim=DIM), 600)
    shop.store()
    return shop


@pytest.fixture
def large(db, monkeypatch):
    monkeypatch.setattr(training, "ROWS_FOR_CELLS", 2000)
    shop = Shop(db.collection("shop", dim=DIM))
    shop.store()
    return shop
