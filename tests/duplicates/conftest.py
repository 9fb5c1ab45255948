"""Files of two pictures, added."""

import os
import shutil

import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path, photos):
    """Six files of two pictures: cat (a copy, a smaller one, a turned one) and rocket (a copy)."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(photos / "cat.jpg", folder / "cat.jpg")
    shutil.copy(photos / "cat.jpg", folder / "deep" / "cat.jpg")
    with Image.open(photos / "cat.jpg") as cat:
        cat.resize((cat.width // 2, cat.height // 2)).save(folder / "cat-small.jpg")
        cat.transpose(Image.Transpose.ROTATE_90).resize((200, 300)).save(folder / "cat-turned.png")
    for number, name in enumerate(("rocket.jpg", "rocket-copy.jpg")):
        shutil.copy(photos / "rocket.jpg", folder / name)
        os.utime(folder / name, ns=(0, 10**18 + number))
    return folder


@pytest.fixture
def collection(db, embedded_model, folder):
    collection = db.collection("photos", model=embedded_model)
    collection.add(folder)
    return collection
