"""What is said where a framework is not installed."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("langchain", "langchain_core", "langchain"),
        ("llama_index", "llama_index", "llama-index"),
    ],
)
def test_the_command_that_installs_it_is_named(module, package, extra):
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from lookalike import MissingExtra\n"
        f"try: import lookalike.integrations.{module}\n"
        "except MissingExtra as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install" in done.stdout and f"[{extra}]" in done.stdout, done.stderr
