"""Files that are no images but something like it, and RAW files with and without their extra."""

import json
import os

import numpy as np
import pytest
from PIL import Image

import lookalike
from tests.images.dng import write_dng

MODEL = ("--model", "efficientnet-lite2")


@pytest.fixture
def album(tmp_path):
    """A photograph, two RAW files, and others."""
    folder = tmp_path / "album"
    folder.mkdir()
    Image.effect_noise((60, 40), 50).convert("RGB").save(folder / "a.jpg")
    colours = np.random.default_rng(3).uniform(0, 0.9, (96, 128, 3))
    for i in (1, 2):
        write_dng(folder / f"{i}.dng", colours / i, orientation=6, taken="2024:05:01 12:30:05")
    for name in ("1.mp4", "2.MP4", "3.mov", "4.pdf", "notes.txt", "1.xmp"):
        (folder / name).write_bytes(b"something")
    return folder


@pytest.fixture
def without_rawpy(tmp_path):
    """The environment of somebody who has not installed the extra."""
    (tmp_path / "none").mkdir()
    hidden = "import importlib.util as u; f = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name == 'rawpy' else f(name, *a)\n"
    (tmp_path / "none/sitecustomize.py").write_text(hidden)
    path = [str(tmp_path / "none"), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path)}


def test_raw_files_are_images_with_the_extra(run, album, database_url):
    done = run("add", album, "--facts", *MODEL)
    assert done.stderr.splitlines()[-2].startswith(
        "Added 3 images to image_embeddings, 3 with facts"
    )
    assert done.stderr.splitlines()[-1] == "Passed over: 2 .mp4, 1 .mov, 1 .pdf."
    found = json.loads(run("search", album / "1.dng", "--where", "format=raw", "--json").stdout)
    best = found["matches"][0]
    assert best["path"] == str(album / "1.dng") and best["similarity"] > 0.999
    assert best["attributes"]["camera"] == "Acme Raw 1"
    assert (best["attributes"]["width"], best["attributes"]["height"]) == (96, 128)
    document = json.loads(run("add", album, "--json").stdout)
    assert document["passed_over"] == {".mp4": 2, ".mov": 1, ".pdf": 1}
    assert document["raw_remedy"] is None


def test_without_the_extra_they_are_passed_over(run, album, without_rawpy, database_url):
    done = run("add", album, *MODEL, **without_rawpy)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Passed over: 2 .dng, 2 .mp4, 1 .mov, 1 .pdf (RAW: ")
    assert "-m pip install" in last and "[raw]" in last
    document = json.loads(run("add", album, "--json", **without_rawpy).stdout)
    assert document["passed_over"][".dng"] == 2 and document["raw_remedy"] in last
    # One that is named is a failure, until the extra is there.
    done = run("add", album / "1.dng", status=1, **without_rawpy)
    assert f"skipped {album}/1.dng: a RAW file needs an extra: " in done.stderr
    assert document["raw_remedy"] in done.stderr
    assert "Added 2 images" in run("add", album).stderr
    with lookalike.connect(database_url) as db:
        assert db.collection().failures() == [] and db.collection().count() == 3


def test_what_is_exported_and_a_folder_without_images(run, album, tmp_path):
    done = run("export", album, "out.sql", *MODEL)
    assert "Passed over: 2 .mp4, 1 .mov, 1 .pdf." in done.stderr
    (tmp_path / "films").mkdir()
    (tmp_path / "films/1.mp4").write_bytes(b"film")
    done = run("add", "films", status=2)
    assert done.stderr == "Error: no images in films; passed over: 1 .mp4\n"
