"""A reader of the docs: a new home with a clone, pictures, and nothing of this machine's."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import click

from tests.places import REPO

TIMEOUT_SECONDS = 300
# What `pip install .` does not bring: the extra's packages, and what it installs itself.
NOT_LINKED = ("torch", "functorch", "sentence_transformers", "transformers", "lookalike")
NOT_LINKED += ("_editable", "pip", "setuptools", "_distutils_hack", "__pycache__")
PICTURES = {  # the placeholders of the docs, and the example pictures that stand for them
    "photo.jpg": "photos/cat-crop.jpg",
    "upload.jpg": "photos/cat-dark.jpg",
    "shoe.jpg": "products/shoes/tennis-shoe.jpg",
    "boot.jpg": "products/shoes/hiking-boot.jpg",
    "hat.jpg": "products/hats/fez.jpg",
    "a.jpg": "photos/bee.jpg",
    "b.jpg": "photos/moose.webp",
    "c.jpg": "photos/dandelion.jpg",
}
FOLDERS = {  # the same for folders
    "Pictures": ("photos", "[!cr]*g"),
    "Pictures/2009": ("photos", "cat.jpg"),
    "Pictures/2010": ("photos", "bee.jpg"),  # the same once more
    "Pictures/2011": ("products/hats", "*"),
    "chosen": ("photos", "no such"),
    "prohibited": ("photos", "c[ai]t*"),
    "variants": ("photos", "cat-*"),
    "uploads": ("photos", "[b-d]*.jpg"),
}
_PYTHON = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
names = {"__name__": "__main__"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "example", "exec"), names)
        problem = None
    except BaseException:
        problem = traceback.format_exc()
    print(json.dumps(problem), file=answers, flush=True)
"""


class Reader:
    """Types what a page says, in the clone, on a terminal."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clone = home / "lookalike"
        self._python: subprocess.Popen[str] | None = None

    @property
    def environment(self) -> dict[str, str]:
        mine = ("LOOKALIKE_", "XDG_", "PYTHON", "PYTEST_", "VIRTUAL_ENV", "HF_", "MAKE")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(mine)}
        path = [self.home / ".stubs", self.clone / ".venv/bin", "/usr/local/bin", "/usr/bin"]
        pip = Path.home() / ".config/pip/pip.conf"  # a mirror that this machine needs
        return {
            **({"PIP_CONFIG_FILE": str(pip)} if pip.is_file() else {}),
            **kept,
            "HOME": str(self.home),
            "PATH": os.pathsep.join(map(str, [*path, "/bin"])),
            "PIP_CACHE_DIR": os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache/pip")),
            "TERM": "dumb",
            "COLUMNS": "100",
        }

    def type(self, command: str) -> tuple[int, str]:
        """Run a command line in bash on a terminal; return its status and all that it showed.

        A question is answered with y.
        """
        terminal, its_end = pty.openpty()
        process = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command],
            **dict.fromkeys(("stdin", "stdout", "stderr"), its_end),
            cwd=self.clone,
            env=self.environment,
            start_new_session=True,
        )
        os.close(its_end)
        os.write(terminal, b"y\n")
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(process.pid, signal.SIGKILL))
        signal.alarm(TIMEOUT_SECONDS)
        said = b""
        with suppress(OSError):  # how the end of a terminal is told
            while part := os.read(terminal, 4096):
                said += part
        status = process.wait()
        signal.alarm(0)
        os.close(terminal)
        return status, said.decode(errors="replace")

    def sql(self, text: str) -> tuple[int, str]:
        """Run SQL in the mysql client."""
        done = subprocess.run(
            [self.clone / ".venv/bin/lookalike", "server", "shell"],
            input=text,
            capture_output=True,
            text=True,
            cwd=self.clone,
            env=self.environment,
            timeout=TIMEOUT_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def python(self, text: str) -> str | None:
        """Run Python in the interpreter of this page; return the traceback, None where it ran."""
        if self._python is None:
            self._python = subprocess.Popen(
                [self.clone / ".venv/bin/python", "-c", _PYTHON],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=self.clone,
                env=self.environment,
            )
        print(json.dumps(text), file=self._python.stdin, flush=True)
        problem: str | None = json.loads(self._python.stdout.readline())
        return problem

    def close(self) -> None:
        if self._python is not None:
            self._python.communicate()
        for folder, option in (("", ""), ("mariadb/", " --engine mariadb")):
            data = f"~/.local/share/lookalike/{folder}data"
            self.type(f"test ! -d {data} || lookalike server stop{option}")


def make_home(home: Path, trees: Mapping[str, Path], cache: Path) -> Reader:
    """Make the home of somebody who has cloned the repository.

    trees: the installed servers, which are downloaded already, by their places.
    """
    reader = Reader(home)
    _clone(reader.clone)
    _environment(reader)
    data = home / ".local/share/lookalike"
    for place, tree in trees.items():
        (data / place).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / place).symlink_to(tree)
    if cache.is_dir():
        shutil.copytree(cache, home / ".cache/lookalike")
    examples = REPO / "examples"
    for name, source in PICTURES.items():
        shutil.copyfile(examples / source, reader.clone / name)
    for name, (folder, pattern) in FOLDERS.items():
        (home / name).mkdir()
        for file in sorted((examples / folder).glob(pattern)):
            shutil.copyfile(file, home / name / file.name)
    # what --open starts, and the system's Python without what else lies beside it
    for name, script in {"xdg-open": "", "python3": f'exec {sys._base_executable} "$@"\n'}.items():
        stub = home / ".stubs" / name
        stub.parent.mkdir(exist_ok=True)
        stub.write_text(f"#!/bin/sh\n{script}")
        stub.chmod(0o755)
    return reader


def _clone(folder: Path) -> None:
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=REPO, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPO / name, folder / name)


def _environment(reader: Reader) -> None:
    """The clone's .venv: a real one, in which the dependencies are links to the tests' own."""
    venv = reader.clone / ".venv"
    subprocess.run([sys._base_executable, "-m", "venv", "--without-pip", venv], check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    for entry in Path(click.__file__).parents[1].iterdir():
        if not entry.name.startswith(NOT_LINKED) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    install = ["-m", "pip", "--python", venv, "install", "--quiet", "--editable", reader.clone]
    subprocess.run([sys.executable, *install], check=True, env=reader.environment)
