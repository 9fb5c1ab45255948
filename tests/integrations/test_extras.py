"""Without its extra an integration tells the command that installs it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["django", "sqlalchemy"])
def test_a_missing_extra_is_named(name):
    code = f"import sys; sys.modules[{name!r}] = None; import lookalike.integrations.{name}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert f"MissingExtra: lookalike.integrations.{name} needs an extra: " in last
    assert "pip install" in last and f"[{name}]" in last
