"""`add --facts`, and searches by what the files tell."""

import json

from tests.add.albums import make_album

MODEL = ("--model", "efficientnet-lite2")


def test_facts_from_the_command_line(run, tmp_path):
    album = make_album(tmp_path / "album")
    done = run("add", album, "--facts", *MODEL)
    assert "Added 4 images to image_embeddings, 4 with facts read" in done.stderr
    done = run("add", album, "--facts", "--location", "--json")
    assert json.loads(done.stdout)["facts"] == 4
    done = run("search", album / "4.png", "--where", "taken_at>=2024-05-01", "--json")
    found = json.loads(done.stdout)["matches"]
    assert {match["attributes"]["taken_at"][:10] for match in found} == {"2024-05-01", "2025-01-01"}
    table = run("search", album / "4.png", "--show", "taken_at,folder", "--order-by", "-taken_at")
    rows = [line.split("|")[1:-1] for line in table.stdout.splitlines() if "/" in line]
    assert [row[-1].strip() for row in rows] == ["oslo", "rome", "rome", "album"]
    done = run("search", "1.jpg", "--order-by", "taken_at", "--show-sql", status=2)
    assert "leave out order_by" in done.stderr


def test_facts_that_cannot_be_read_are_refused(run, tmp_path):
    album = make_album(tmp_path / "album")
    assert "--location needs --facts" in run("add", album, "--location", status=2).stderr
    (tmp_path / "a.csv").write_text("path,format\nalbum/4.png,A4\n")
    run("add", album, "--attributes", tmp_path / "a.csv", *MODEL)
    assert "--facts needs a PATH" in run("add", "--attributes", "a.csv", "--facts", status=2).stderr
    done = run("add", album, "--facts", status=2)
    assert done.stderr.startswith("Error: format: 'image_embeddings' has attributes of your own")
