"""The base installation: all that the README does works without an extra."""

import json
import os
import subprocess
import sys

import pytest

from tests.places import PHOTOS

ABSENT = (
    "imagehash",
    "pandas",
    "pyarrow",
    "pytest",
    "scipy",
    "sentence_transformers",
    "torch",
    "transformers",
)
"""What extras and the tests bring."""


@pytest.fixture
def base(environment, tmp_path):
    """Run Python, and every Python that it starts, without the packages of extras."""
    site = tmp_path / "site"
    site.mkdir()
    absent = f"import sys; sys.modules.update(dict.fromkeys({ABSENT!r}))"
    (site / "sitecustomize.py").write_text(absent)
    path = os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*args):
        command = [sys.executable, *map(str, args)]
        done = subprocess.run(
            command,
            env={**environment, "PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_images_are_added_searched_shown_and_compared(base, tmp_path):
    def lookalike(*args):
        return base("-m", "lookalike", *args)

    (tmp_path / "copy.jpg").write_bytes((PHOTOS / "cat.jpg").read_bytes())
    lookalike("add", PHOTOS, "copy.jpg")
    sheet = ("--contact-sheet", "sheet.html", "--json")
    found = json.loads(lookalike("search", PHOTOS / "cat.jpg", *sheet))["matches"]
    assert found[0]["image_name"] in ("cat.jpg", "copy.jpg")
    assert (tmp_path / "sheet.html").stat().st_size > 1000
    groups = json.loads(lookalike("duplicates", "--tier", "near-duplicate", "--json"))["groups"]
    assert groups
    assert "image_name" in lookalike("sql", "SELECT image_name FROM image_embeddings LIMIT 1")


def test_a_data_frame_names_the_extra_that_it_needs(base):
    base(
        "-c",
        "import lookalike\n"
        "with lookalike.connect() as db:\n"
        "    assert db.rows('SELECT 1 AS one') == (['one'], [(1,)])\n"
        "    try:\n"
        "        db.sql('SELECT 1')\n"
        "    except lookalike.MissingExtra as error:\n"
        "        assert str(error).startswith('Database.sql needs an extra: '), error\n"
        '        assert str(error).endswith("[pandas]\'"), error\n'
        "    else:\n"
        "        raise AssertionError\n",
    )
