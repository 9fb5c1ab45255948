"""Painted images, and the collection that they are added to."""

import os

import pytest

import lookalike
from tests.add.paints import BLUE, GREEN, GREY, RED
from tests.colours import FEW, TABLE, Colours, paint


@pytest.fixture
def index_sizes():
    return FEW


@pytest.fixture(autouse=True)
def one_decoder(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})


@pytest.fixture
def model():
    return Colours()


@pytest.fixture
def notices():
    return []


@pytest.fixture
def colours(database_url, model, notices):
    with lookalike.connect(database_url, notify=notices.append, index_sizes=FEW) as db:
        yield db.collection(TABLE, model=model)


@pytest.fixture
def folder(tmp_path):
    """Five images, two of them in folders of their own."""
    paint(tmp_path / "images/red.png", RED)
    paint(tmp_path / "images/green.png", GREEN)
    paint(tmp_path / "images/blue.png", BLUE)
    paint(tmp_path / "images/deep/grey.png", GREY)
    paint(tmp_path / "images/far/white.png", 0xFFFFFF)
    return tmp_path / "images"
