"""The command that adds an extra, of real installations in environments of their own."""

import shlex
import subprocess
import sys

import pytest

from tests.places import REPO

# lookalike itself cannot be imported there: its dependencies are left out
MODULE = REPO / "src" / "lookalike" / "core" / "installed.py"
ASK = "import runpy, sys; print(runpy.run_path(sys.argv[1])['install_command']('clip'))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, REPO]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Install lookalike alone in a new environment, and return the remedy that it names there."""
    monkeypatch.delenv("PYTHONPATH", raising=False)

    def ask(*arguments, afterwards=lambda: None):
        venv = tmp_path / "my venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
        pip = [sys.executable, "-m", "pip", "--python", venv, "install", "--no-deps", "--quiet"]
        subprocess.run([*pip, *arguments], check=True, capture_output=True)
        afterwards()
        python = venv / "bin" / "python"
        command = [python, "-c", ASK, MODULE]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        words = shlex.split(done.stdout)
        assert words[:4] == [str(python), "-m", "pip", "install"]
        return words[4:]

    return ask


@pytest.mark.nightly
@pytest.mark.parametrize("how", [["--editable"], []])
def test_a_checkout_is_named(asked, how):
    assert asked(*how, REPO) == [f"{REPO}[clip]"]


@pytest.mark.nightly
def test_a_wheel_is_named_and_where_it_is_gone_what_the_extra_brings(asked, wheel):
    assert asked(wheel) == [f"{wheel}[clip]"]
    brought = asked("--force-reinstall", wheel, afterwards=wheel.unlink)
    assert sorted(brought) == ["sentence-transformers>=6.0", "torch>=2.6"]
