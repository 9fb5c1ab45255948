"""`lookalike remove` and `add --prune`: what goes is shown first, and asked about."""

import json
import shutil
from pathlib import Path

import pytest

MODEL = ("--model", "efficientnet-lite2")
NAMES = ("bee.jpg", "cat.jpg", "rocket.jpg")


@pytest.fixture
def folder(run, photos, tmp_path):
    """Three photographs, one of them in a folder of its own. Added."""
    pictures = tmp_path / "pictures"
    (pictures / "deep").mkdir(parents=True)
    for name in NAMES[:2]:
        shutil.copy(photos / name, pictures)
    shutil.copy(photos / "rocket.jpg", pictures / "deep")
    run("add", pictures, *MODEL)
    return pictures


def n_rows(run):
    return json.loads(run("status", "--json").stdout)[0]["rows"]


def test_without_a_terminal_one_image_goes_and_many_do_not(run, folder):
    for targets in ([folder], ["/"], ["bee.jpg", "cat.jpg"], [folder / "deep"]):
        done = run("remove", *targets, status=2)
        assert done.stderr.count("\n") == 1 and "did not remove" in done.stderr
        assert "--yes" in done.stderr and n_rows(run) == 3
    assert "did not remove 3 images" in run("remove", "/", status=2).stderr
    assert "Removed 1 image" in run("remove", folder / "bee.jpg").stderr
    assert json.loads(run("remove", folder, "--yes", "--json").stdout)["removed"] == 2
    assert n_rows(run) == 0


def test_a_dry_run_shows_and_removes_nothing(run, folder):
    done = run("remove", folder, "--dry-run")
    assert "Would remove 3 images from image_embeddings. Nothing was changed." in done.stderr
    assert str(folder / "deep" / "rocket.jpg") in done.stderr
    found = json.loads(run("remove", folder, "--dry-run", "--json").stdout)
    assert (found["removed"], found["is_dry_run"]) == (0, True)
    assert sorted(image["image_name"] for image in found["images"]) == [
        *("bee.jpg", "cat.jpg", "deep/rocket.jpg")
    ]
    assert n_rows(run) == 3


def test_on_a_terminal_it_names_some_and_asks(on_terminal, run, folder):
    said = on_terminal("remove", "/", types="\n", status=2)
    assert "Remove 3 images from image_embeddings? The files stay. [y/N]" in said
    assert str(folder / "bee.jpg") in said and n_rows(run) == 3
    assert "[y/N]" in on_terminal("remove", folder / "deep", types="n\n", status=2)
    assert "[y/N]" not in on_terminal("remove", folder / "bee.jpg", types="")
    said = on_terminal("remove", folder, types="y\n")
    assert "Removed 2 images" in said and n_rows(run) == 0


def test_files_that_are_gone_are_counted_and_pruned_after_a_dry_run(run, folder):
    (folder / "bee.jpg").unlink()
    (folder / "cat.jpg").unlink()
    done = run("add", folder)
    assert "2 no longer exist (--prune removes their rows)" in done.stderr
    assert json.loads(run("add", folder, "--json").stdout)["gone"] == 2
    done = run("add", folder, "--prune", "--dry-run")
    assert sorted(done.stdout.split()) == [str(folder / "bee.jpg"), str(folder / "cat.jpg")]
    assert (
        "Would remove from image_embeddings: 2 images whose files are gone" in done.stderr
        and n_rows(run) == 3
    )
    found = json.loads(run("add", folder, "--prune", "--dry-run", "--json").stdout)
    assert len(found["gone"]) == 2 and n_rows(run) == 3
    assert json.loads(run("add", folder, "--prune", "--json").stdout)["removed"] == 2
    assert "no longer" not in run("add", folder).stderr and n_rows(run) == 1
    assert "--dry-run needs --prune" in run("add", folder, "--dry-run", status=2).stderr
    both = run("add", folder, "--prune", "--dry-run", "--attributes", "x.csv", status=2)
    assert "--dry-run cannot be combined with --attributes" in both.stderr


def test_the_dry_run_looks_where_the_run_itself_will(run, folder):
    """A file that was moved to an excluded folder is not found there, and its row goes."""
    (folder / "bee.jpg").rename(folder / "deep" / "moved.jpg")
    prune = ("add", folder, "--prune", "--json")
    assert json.loads(run(*prune, "--dry-run").stdout)["gone"] == []
    found = json.loads(run(*prune, "--exclude", "deep", "--dry-run").stdout)["gone"]
    assert [Path(row["path"]).name for row in found] == ["bee.jpg"]
    assert json.loads(run(*prune, "--exclude", "deep").stdout)["removed"] == 1
