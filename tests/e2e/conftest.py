"""The command line as a subprocess."""

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.preloaded import TIMEOUT, Preloaded
from tests.e2e.told import MODEL

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose database is the test's own."""
    return {**os.environ, "LOOKALIKE_DATABASE": database_url, "HOME": str(tmp_path)}


@pytest.fixture(scope="session")
def preloaded() -> Iterator[Preloaded]:
    """The program, ready to run."""
    program = Preloaded()
    yield program
    program.close()


@pytest.fixture(scope="module")
def with_photos(
    module_database_url: str,
    photos: Path,
    preloaded: Preloaded,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The URL of a database with the example photographs and their facts, for tests that read."""
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "LOOKALIKE_DATABASE": module_database_url, "HOME": str(home)}
    done = preloaded.run(["add", str(photos), *MODEL, "--facts"], "", cwd=home, env=env)
    assert done.returncode == 0, done.stderr
    return module_database_url


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path, preloaded: Preloaded) -> Run:
    """Run `lookalike ARGS...` in an empty folder; no run may end in a traceback."""

    def run_command(*args: object, status: int = 0, stdin: str | None = None, **env: str):
        # What Python reads as it starts needs a start.
        start = subprocess_run if any(name.startswith("PYTHON") for name in env) else preloaded.run
        done = start([str(arg) for arg in args], stdin or "", cwd=tmp_path, env=environment | env)
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == status, done.stdout + done.stderr
        return done

    return run_command


def subprocess_run(
    arguments: list[str], typed: str, *, cwd: Path, env: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run `lookalike ARGUMENTS...` from Python's start on."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments],
        capture_output=True,
        text=True,
        input=typed,
        cwd=cwd,
        env=env,
        timeout=TIMEOUT,
    )


@pytest.fixture
def on_terminal(environment: dict[str, str], tmp_path: Path) -> Callable[..., str]:
    """Run `lookalike ARGS...` on a terminal, type an answer, and return all that it showed."""

    def run_command(*args: object, types: str, status: int = 0) -> str:
        terminal, its_end = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *map(str, args)],
            **dict.fromkeys(("stdin", "stdout", "stderr"), its_end),
            cwd=tmp_path,
            env=environment | {"TERM": "dumb"},
            start_new_session=True,
        )
        os.close(its_end)
        os.write(terminal, types.encode())
        said = b""
        with suppress(OSError):  # how the end of a terminal is told
            while part := os.read(terminal, 4096):
                said += part
        os.close(terminal)
        assert process.wait(timeout=60) == status, said.decode()
        return said.decode()

    return run_command


@pytest.fixture
def pictures(run, photos, tmp_path):
    """Cats: one, its copy, a mirrored, a darker one and half of it; and two others. Added."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("cat.jpg", "cat-mirrored.jpg", "cat-dark.jpg", "cat-crop.jpg", "rocket.jpg"):
        shutil.copy(photos / name, folder)
    shutil.copy(photos / "cat.jpg", folder / "cat-copy.jpg")
    with Image.open(photos / "moose.webp") as moose:
        moose.save(folder / "moose.png")
    run("add", folder, *MODEL)
    return folder


@pytest.fixture
def duplicates(run, tmp_path):
    """Run `lookalike duplicates ARGS...` with a trash of the test's own."""

    def run_command(*args, **options):
        return run("duplicates", *args, **options, XDG_DATA_HOME=str(tmp_path / "data"))

    return run_command


@pytest.fixture
def trash(tmp_path):
    """The folder of what is in the trash; not there before something is."""
    return tmp_path / "data" / "Trash" / "files"
