import subprocess
import sys
import zipfile

from tests.places import REPO


def test_the_wheel_carries_its_data(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]
    subprocess.run([*command, str(REPO)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lookalike-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "lookalike/py.typed",
        "lookalike/dialects/sql/functions.sql",
        "lookalike/dialects/sql/open.sql",
        "lookalike/dialects/sql/refresh.sql",
        "lookalike/dialects/sql/rotate.sql",
        "lookalike/dialects/sql/rotation_fragment.sql",
        "lookalike/dialects/sql/search.sql",
        "lookalike/dialects/sql/shortlist.sql",
        "lookalike/dialects/sql/where.sql",
        "lookalike/dialects/sql/native.c",
        "lookalike/dialects/sql/mysql_ai.sql",
        "lookalike/pages/templates/contact_sheet.html",
        "lookalike/pages/templates/duplicates.html",
        "lookalike/models/efficientnet/mean.npy",
        "lookalike/models/efficientnet/imagenet_words.tsv",
        "lookalike/models/efficientnet/word_hints.tsv.gz",
        "lookalike/search/scales/efficientnet-lite2.npz",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]
