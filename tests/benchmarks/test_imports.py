"""Benchmarks import one another in one direction."""

import ast
from graphlib import TopologicalSorter

from tests.places import REPO

FILES = sorted((REPO / "benchmarks").glob("*.py"))


def imported(file):
    """Return the benchmarks that one imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "benchmarks":
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("benchmarks."):
            found.add(node.module.split(".")[1])
    return found


def test_imports_have_no_circle():
    graph = {file.stem: imported(file) for file in FILES}
    assert graph["data"] >= {"dataset", "resemblance"}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle
