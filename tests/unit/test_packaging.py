import subprocess
import sys
import zipfile
from pathlib import Path

REPO = Path(__file__).parents[2]


def test_the_wheel_carries_its_data(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]
    subprocess.run([*command, str(REPO)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("lookalike-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "lookalike/py.typed",
        "lookalike/sql/functions.sql",
        "lookalike/templates/contact_sheet.html",
        "lookalike/templates/duplicates.html",
        "lookalike/models/efficientnet_lite2_mean.npy",
        "lookalike/models/imagenet_words.tsv",
        "lookalike/models/word_hints.tsv.gz",
    } <= names
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "examples"))]
