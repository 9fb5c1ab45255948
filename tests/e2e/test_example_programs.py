"""The programs in examples that people copy, run as their first lines say."""

import runpy
import shutil
import subprocess
import sys

import pytest
from fastapi.testclient import TestClient

import lookalike
from tests.places import PHOTOS, REPO

pytestmark = pytest.mark.nightly

EXAMPLES = REPO / "examples"
PROGRAMS = ("retriever/retriever.py", "upload_guard/guard.py", "archive/archive.py")


@pytest.fixture
def run_program(environment, tmp_path):
    def run(program, *args):
        command = [sys.executable, str(EXAMPLES / program), *map(str, args)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_they_are_small():
    for program in PROGRAMS:
        assert (EXAMPLES / program).read_text().count("\n") < 100


def test_the_retriever_finds_images_by_what_they_show(run_program):
    for _ in range(2):  # the second time nothing is embedded
        said = run_program("retriever/retriever.py", "a moose")
    first, *_ = said.splitlines()
    assert first.endswith("A bull moose stands in the grass.")
    prompt = said.partition("\n\n")[2]
    assert "- A bull moose stands in the grass. (" in prompt and prompt.strip().endswith("a moose")
    assert "cat" not in prompt and "coffee" not in prompt  # they are indoors


def test_the_archive_moves_identical_files_alone(run_program, tmp_path):
    camera, phone, copies = (tmp_path / name for name in ("camera", "phone", "copies"))
    for name in ("cat.jpg", "bee.jpg", "moose.webp"):
        for folder in (camera, phone):
            folder.mkdir(exist_ok=True)
            if name != "moose.webp" or folder == camera:
                shutil.copy(PHOTOS / name, folder)
    shutil.copy(PHOTOS / "cat-dark.jpg", phone)
    (phone / "broken.jpg").write_bytes(b"no image")
    said = run_program("archive/archive.py", camera, phone)
    assert "6 new, 0 known, 1 unreadable" in said and "2 identical" in said
    assert len(list(phone.iterdir())) == 4 and (tmp_path / "duplicates.html").exists()
    said = run_program("archive/archive.py", camera, phone, "--move-to", copies)
    assert said.count("moved: ") == 2 and "0 new, 6 known" in said
    left = {file.name for folder in (camera, phone) for file in folder.iterdir()}
    assert left == {"cat.jpg", "bee.jpg", "moose.webp", "cat-dark.jpg", "broken.jpg"}
    assert len([file for file in copies.rglob("*") if file.is_file()]) == 2


def test_the_guard_refuses_what_is_prohibited(database_url, tmp_path, capsys):
    with lookalike.connect(database_url) as db:
        db.collection("prohibited", model="efficientnet-lite2").add(PHOTOS / "cat.jpg")
    make_app = runpy.run_path(str(EXAMPLES / "upload_guard/guard.py"))["make_app"]
    folder = tmp_path / "uploads"
    with TestClient(make_app(database_url, folder)) as client:
        prohibited = client.post("/uploads", content=(PHOTOS / "cat-mirrored.jpg").read_bytes())
        assert (prohibited.status_code, prohibited.json()["detail"]) == (
            422,
            "this image is not allowed here",
        )
        damaged = client.post("/uploads", content=b"no image")
        assert damaged.status_code == 415 and "cannot be checked" in damaged.json()["detail"]
        assert client.post("/uploads", content=b"0" * 20_000_001).status_code == 413
        assert not folder.exists()
        content = (PHOTOS / "bee.jpg").read_bytes()
        accepted = client.post("/uploads", content=content)
        assert accepted.status_code == 201
        assert (folder / accepted.json()["name"]).read_bytes() == content
    assert capsys.readouterr().out == "refused: like cat.jpg\n"
