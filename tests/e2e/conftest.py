"""The command line as a subprocess."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose database is the test's own."""
    return {**os.environ, "LOOKALIKE_DATABASE": database_url, "HOME": str(tmp_path)}


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run `lookalike ARGS...` in an empty folder; no run may end in a traceback."""

    def run_command(*args: object, status: int = 0, stdin: str | None = None, **env: str):
        done = subprocess.run(
            [sys.executable, "-m", "lookalike", *map(str, args)],
            capture_output=True,
            text=True,
            input=stdin,
            cwd=tmp_path,
            env=environment | env,
            timeout=120,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run_command
