"""The examples of docstrings, each with an empty database `db`."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest

import lookalike

NAMES = [
    module.name
    for module in pkgutil.walk_packages(lookalike.__path__, "lookalike.")
    if ">>>" in (importlib.util.find_spec(module.name).loader.get_source(module.name) or "")
]


def examples():
    """The docstrings that have some."""
    for name in NAMES:
        module = importlib.import_module(name)
        for test in doctest.DocTestFinder().find(module, module=module):
            if test.examples:
                yield test


@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.name)
def test_it_does_what_it_says(example, db, capsys):
    example.globs |= {"db": db, "np": np}
    result = doctest.DocTestRunner().run(example)
    assert result.attempted and not result.failed, capsys.readouterr().out


def test_examples_are_found():
    assert "lookalike.collection.collection" in NAMES
