"""The shape of the code: who imports whom, and how long files and functions may be."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.places import REPO

SOURCE = REPO / "src" / "lookalike"
TESTS = REPO / "tests"
FILES = sorted(SOURCE.rglob("*.py"))
TEST_FILES = sorted(TESTS.rglob("*.py"))
BESIDE_THE_MIRROR = {
    *("e2e", "engines", "cluster", "shards"),
    *("benchmarks", "fuzz", "torture", "layouts"),
}
MAX_FILE_LINES = 400
MAX_FACADE_LINES = 450  # with a full docstring for each of its methods
FACADES = {SOURCE / "collection" / "collection.py", SOURCE / "client.py"}
MAX_FUNCTION_LINES = 40

FORBIDDEN = [
    # Lower layers do not know higher ones.
    ("core/vectors.py", "from lookalike.database.url import DatabaseURL"),
    ("index/store.py", "from lookalike.search.searcher import Searcher"),
    ("images/decode.py", "from lookalike.models.base import Model"),
    ("add/prune.py", "from lookalike.search.query import Query"),
    # An engine or a model is chosen in one place.
    ("search/searcher.py", "from lookalike.dialects.mysql_native import MySQLNative"),
    ("add/ingest.py", "from lookalike.models.clip.load import load"),
    ("cli/search.py", "from lookalike.search.searcher import Searcher"),
    ("integrations/reading.py", "from lookalike.database.url import DatabaseURL"),
    # Libraries stay where they are used.
    ("dialects/base.py", "import pymysql"),
    ("core/types.py", "import numpy"),
    ("search/searcher.py", "import torch"),
    ("collection/status.py", "import click"),
]


def check_contracts(folder: Path) -> "subprocess.CompletedProcess[str]":
    """Check the contracts of pyproject.toml on the source in a folder."""
    program = (
        f"import sys; sys.path.insert(0, {str(folder / 'src')!r}); "
        "from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_the_contracts_are_kept():
    done = check_contracts(REPO)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the source, to break the contracts in."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(REPO / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPO / "pyproject.toml", folder)
    return folder


def test_forbidden_imports_break_the_contracts(copied):
    """Each is named, with the module that it was added to."""
    for file, line in FORBIDDEN:
        path = copied / "src" / "lookalike" / file
        path.write_text(path.read_text() + f"\n\n{line}\n")
    done = check_contracts(copied)
    assert done.returncode == 1
    for file, line in FORBIDDEN:
        module = "lookalike." + file.removesuffix(".py").replace("/", ".")
        imported = re.search(r"(?:from|import) (\S+)", line)[1]
        assert f"{module} -> {imported}" in done.stdout, done.stdout


def test_engines_are_not_on_the_face_of_dialects():
    """So that no module gets at one past the contract."""
    import lookalike.dialects

    assert not {name for name in dir(lookalike.dialects) if name.startswith("MySQL")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_files_and_functions_are_short(file):
    text = file.read_text()
    assert text.count("\n") <= (MAX_FACADE_LINES if file in FACADES else MAX_FILE_LINES)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            # Parameters are options, one a line, and a docstring says what each is.
            length -= len(node.args.args) + len(node.args.kwonlyargs)
            length -= (ast.get_docstring(node) or "").count("\n")
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length}"


@pytest.mark.parametrize("file", TEST_FILES, ids=lambda file: str(file.relative_to(TESTS)))
def test_files_of_tests_are_short(file):
    assert file.read_text().count("\n") <= MAX_FILE_LINES


def test_folders_of_tests_mirror_the_source():
    folders = {file.parent.relative_to(TESTS) for file in TEST_FILES} - {Path()}
    packages = {file.parent.relative_to(SOURCE) for file in FILES}
    assert {str(folder) for folder in folders - packages} == BESIDE_THE_MIRROR
    assert len(folders & packages) > 10


def test_only_the_tests_of_benchmarks_import_them():
    importing = set()
    for file in TEST_FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Import):
                modules = [each.name for each in node.names]
            else:
                continue
            if any(module.split(".")[0] == "benchmarks" for module in modules):
                importing.add(file.parent)
    assert importing == {TESTS / "benchmarks"}


def test_no_leftovers():
    for file in FILES:
        found = re.findall(r"TODO|FIXME|XXX|(?<![\w.])print\(", file.read_text())
        assert not found, f"{file}: {found}"
