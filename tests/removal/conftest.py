"""Collections to take images out of, and a trash of the tests' own."""

import shutil
from pathlib import Path

import pytest
from send2trash import plat_other

from lookalike import Collection


@pytest.fixture(autouse=True)
def trash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trash of this test."""
    data = tmp_path / "data"
    monkeypatch.setenv("XDG_DATA_HOME", str(data))
    # It has read its own when it was imported.
    monkeypatch.setattr(plat_other, "XDG_DATA_HOME", bytes(data))
    monkeypatch.setattr(plat_other, "HOMETRASH_B", bytes(data / "Trash"))
    return data / "Trash"


@pytest.fixture
def folder(tmp_path: Path, photos: Path) -> Path:
    """Five photographs, two of them of one name, one of an odd name."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    names = ("bee.jpg", "cat.jpg", "rocket.jpg", "deep/cat.jpg", "100% [é]\n.jpg")
    for source, name in zip(sorted(photos.glob("*.jpg")), names, strict=False):
        shutil.copy2(source, folder / name)
    return folder


@pytest.fixture
def collection(db, embedded_model, folder) -> Collection:
    """Those photographs, with facts, attributes and a decision."""
    collection = db.collection("photos", model=embedded_model)
    collection.add(folder, facts=True)
    collection.attributes.set([{"path": str(folder / "cat.jpg"), "tags": ["x"], "price": 5}])
    collection.duplicates.mark_distinct(1, 2, 3)
    return collection
