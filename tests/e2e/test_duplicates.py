"""`lookalike duplicates` as people type it, on real photographs."""

import json
import os
from pathlib import Path

import pytest

from tests.e2e.told import MODEL, n_rows, names_in, table

LOOSER = ("--tier", "near-duplicate")
DELETE = ("--delete", *LOOSER, "--yes")
FAMILY = {
    "cat-copy.jpg": "identical",
    "cat-mirrored.jpg": "near-duplicate",
    "cat-dark.jpg": "near-duplicate",
}


def test_groups_are_listed_and_nothing_is_touched(run, duplicates, pictures, trash):
    before = {file: file.read_bytes() for file in pictures.iterdir()}
    done = duplicates()
    header, keep, *others = table(done.stdout)
    assert header == ["group", "", "id", "tier", "similarity", "pixels", "size", "file"]
    assert keep[1] == "keep" and keep[5:] == ["451 x 300", "27.3 kB", str(pictures / "cat.jpg")]
    assert {Path(row[7]).name: row[3] for row in others} == {**FAMILY, "cat-crop.jpg": "similar"}
    assert "1 group; besides the images to keep: 1 identical, 2 near-duplicate, 1 similar" in (
        done.stderr
    )
    assert {file: file.read_bytes() for file in pictures.iterdir()} == before
    assert n_rows(run) == 7 and not trash.exists()


def test_json_has_everything(duplicates, pictures):
    found = json.loads(duplicates("--json", "--tier", "near-duplicate").stdout)
    (group,) = found["groups"]
    assert found["collection"] == "image_embeddings" and found["removal"] is None
    assert group["tier"] == "near-duplicate"
    assert group["keep"]["path"] == str(pictures / "cat.jpg") and group["keep"]["tier"] is None
    assert {Path(image["path"]).name: image["tier"] for image in group["duplicates"]} == FAMILY
    assert all(0.9 < image["similarity"] <= 1.0001 for image in group["duplicates"])


def test_the_threshold_and_the_tier_decide(duplicates, pictures):
    assert len(table(duplicates("--tier", "identical").stdout)) == 3
    assert len(table(duplicates("--min-similarity", 0.99).stdout)) == 5
    done = duplicates("--min-similarity", 0.9, "--tier", "identical", status=2)
    assert "min_similarity has no meaning without the tier similar" in done.stderr


def test_deleted_files_are_in_the_trash(run, duplicates, pictures, trash):
    would = duplicates("--delete", *LOOSER, "--dry-run")
    assert [row[1] for row in table(would.stdout)[1:]] == ["keep", "trash", "trash", "trash"]
    assert "Would trash 3 files, " in would.stderr and "nothing was done" in would.stderr
    assert n_rows(run) == 7 and not trash.exists()
    done = duplicates(*DELETE)
    assert [row[1] for row in table(done.stdout)[1:]] == ["keep", *["trashed"] * 3]
    size = would.stderr.split("3 files, ")[1].split(";")[0]
    assert f"Trashed 3 files, {size}, and removed their rows." in done.stderr
    assert names_in(trash) == set(FAMILY)
    assert names_in(pictures) == {"cat.jpg", "cat-crop.jpg", "rocket.jpg", "moose.png"}
    assert n_rows(run) == 4
    assert "No duplicates." in duplicates("--tier", "near-duplicate").stderr
    # The similar one goes only when it is asked for.
    found = json.loads(duplicates("--delete", "--tier", "similar", "--yes", "--json").stdout)
    assert [Path(file["path"]).name for file in found["removal"]["removed"]] == ["cat-crop.jpg"]
    assert names_in(trash) == {*FAMILY, "cat-crop.jpg"} and n_rows(run) == 3


def test_only_the_same_bytes_go_by_default(duplicates, pictures, trash):
    done = duplicates("--delete", "--yes")
    assert "Trashed 1 file, 27.3 kB (1 identical), and removed its row." in done.stderr
    assert names_in(trash) == {"cat-copy.jpg"}


@pytest.mark.parametrize("how", [["--delete"], ["--delete", "--permanently"], ["--move-to", "x"]])
def test_without_a_terminal_nothing_goes_unasked(run, duplicates, pictures, trash, how):
    before = names_in(pictures)
    done = duplicates(*how, status=2)
    assert done.stderr.count("\n") == 1 and "--yes" in done.stderr and "--dry-run" in done.stderr
    assert names_in(pictures) == before and n_rows(run) == 7 and not trash.exists()


def test_on_a_terminal_it_shows_what_would_go_and_asks(on_terminal, run, pictures, tmp_path):
    before = names_in(pictures)
    said = on_terminal("duplicates", "--move-to", "aside", types="n\n", status=2)
    assert "Move 1 file, 27.3 kB (1 identical)? [y/N]" in said and "Moved no file." in said
    assert names_in(pictures) == before and n_rows(run) == 7
    assert not (tmp_path / "aside").exists()
    said = on_terminal("duplicates", "--move-to", "aside", *LOOSER, types="y\n")
    assert "(1 identical, 2 near-duplicate)? [y/N]" in said and "Moved 3 files, " in said
    assert said.count("| pixels") == 1
    assert names_in(tmp_path / "aside") == set(FAMILY) and n_rows(run) == 4


def test_what_does_not_go_is_not_asked_about(on_terminal, run, photos):
    run("add", photos / "cat.jpg", *MODEL)
    assert "Would trash 0 files" in on_terminal("duplicates", "--delete", types="")


def test_deleted_permanently_they_are_not_in_the_trash(duplicates, pictures, trash):
    assert "Deleted 3 files" in duplicates(*DELETE, "--permanently").stderr
    assert len(names_in(pictures)) == 4 and not trash.exists()


def test_moved_files_replace_nothing(run, duplicates, pictures, trash, tmp_path):
    aside = tmp_path / "aside"
    aside.mkdir()
    (aside / "cat-copy.jpg").write_text("mine")
    found = json.loads(duplicates("--move-to", "aside", *LOOSER, "--yes", "--json").stdout)
    moved = {Path(file["path"]).name: file["moved_to"] for file in found["removal"]["removed"]}
    assert moved == {name: str(aside / name) for name in FAMILY} | {
        "cat-copy.jpg": str(aside / "cat-copy-2.jpg")
    }
    assert names_in(aside) == {*FAMILY, "cat-copy-2.jpg"} and n_rows(run) == 4
    assert (aside / "cat-copy.jpg").read_text() == "mine" and not trash.exists()


def test_which_one_is_kept(run, duplicates, pictures):
    os.utime(pictures / "cat-dark.jpg", (0, 0))
    with (pictures / "cat-mirrored.jpg").open("ab") as file:
        file.write(bytes(50_000))  # after the image's end: larger, and no better
    run("add", pictures)
    kept = {
        rule: Path(table(duplicates("--keep", rule).stdout)[1][7]).name
        for rule in ("best", "oldest", "largest")
    }
    assert kept["oldest"] == "cat-dark.jpg" and kept["largest"] == "cat-mirrored.jpg"
    assert table(duplicates().stdout) == table(duplicates("--keep", "best").stdout)


def test_nothing_is_deleted_when_the_file_to_keep_is_missing(run, duplicates, pictures, trash):
    (pictures / "cat.jpg").unlink()
    done = duplicates(*DELETE, status=1)
    # What is kept was chosen by what is stored of it: the file of most pixels, gone now.
    assert done.stderr.count(f"the file to keep, {pictures / 'cat.jpg'}, is not safe") == 3
    assert "Trashed 0 files" in done.stderr and "3 could not be trashed" in done.stderr
    assert set(FAMILY) <= names_in(pictures) and n_rows(run) == 7 and not trash.exists()
    run("add", pictures, "--prune")
    duplicates(*DELETE)
    assert len(names_in(trash)) == 2


def test_a_file_that_has_changed_stays(run, duplicates, pictures, trash):
    duplicates()
    (pictures / "cat-dark.jpg").write_bytes(b"edited since")
    report = json.loads(duplicates(*DELETE, "--json", status=1).stdout)["removal"]
    assert [Path(failure["path"]).name for failure in report["failed"]] == ["cat-dark.jpg"]
    assert "it has changed since it was added" in report["failed"][0]["reason"]
    assert names_in(trash) == {"cat-copy.jpg", "cat-mirrored.jpg"} and n_rows(run) == 5


def test_decisions_are_kept(duplicates, pictures):
    ids = {Path(row[7]).name: row[2] for row in table(duplicates().stdout)[1:]}
    pair = ids["cat.jpg"], ids["cat-dark.jpg"]
    done = duplicates("--not", *pair, "--not", ids["cat.jpg"], ids["cat-crop.jpg"])
    assert f"{pair[0]} and {pair[1]} are not duplicates from now on." in done.stderr
    (first, *others) = table(duplicates().stdout)[1:]
    together = [row for row in (first, *others) if row[0] == first[0]]
    assert "cat-dark.jpg" not in {Path(row[7]).name for row in together}
    assert duplicates("--forget-not", *pair).stderr == "Forgot 1 decision.\n"
    assert "cat-dark.jpg" in duplicates().stdout
    assert json.loads(duplicates("--not", *pair, "--json").stdout)["distinct"] == [
        [int(pair[0]), int(pair[1])]
    ]


def test_the_report_is_a_page(duplicates, pictures):
    done = duplicates("--html", "deep/report.html")
    page = pictures.parent / "deep" / "report.html"
    assert f"Report: {page}" in done.stderr
    assert page.read_text().count("data:image/jpeg;base64,") == 5


MISTAKES = [
    (["--delete", "--move-to", "x"], "--delete or --move-to, not both"),
    (["--permanently"], "--permanently goes with --delete"),
    (["--dry-run"], "--dry-run goes with --delete or --move-to"),
    (["--yes"], "--yes goes with --delete or --move-to"),
    (["--force"], "--force goes with --html"),
    (["--not", "1", "1"], "name at least two different images"),
    (["--not", "1", "99"], "no image with id 99"),
    (["--not", "1", "2", "--delete"], "go without --delete"),
    (["--not", "1", "2", "--html", "x.html"], "go without --html"),
    (["--forget-not", "1", "2", "--tier", "identical"], "go without --tier"),
    (["--not", "1", "2", "--keep", "oldest"], "go without --keep"),
    (["--not", "1", "2", "--group", "3"], "go without --group"),
    (["--not", "1", "2", "--prefer", "."], "go without --prefer"),
    (["--not", "1", "gone.jpg"], "'gone.jpg' is not an image file, and no stored image has"),
    (["--group", "99"], "there is no group 99"),
    (["--group", "1-"], "there is no group 1-"),
    (["--group", "7", "--delete", "--yes"], "with --yes give the whole name of group 7"),
    (["--prefer", "none"], "no such folder: none"),
    (["--prefer", "."], "no image in it is stored"),
    (["--keep", "newest"], "'newest' is not one of"),
    (["--min-similarity", "2"], "min_similarity is 2.0"),
    (["--collection", "none"], "no collection 'none'"),
    (["--html", "/proc/none/x.html"], "cannot write the report /proc/none/x.html"),
]


def test_mistakes_end_in_one_line(run, duplicates, photos):
    run("add", photos / "cat.jpg", *MODEL)
    for args, message in MISTAKES:
        done = duplicates(*args, status=2)
        assert message in done.stderr and done.stdout == "", args
