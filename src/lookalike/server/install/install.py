"""Install an engine for its private server: Debian's packages, Docker's image or Homebrew."""

import shutil
import sys
import tempfile
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress
from lookalike.server.commands import run
from lookalike.server.engine import Engine
from lookalike.server.folders import Folders, remove_leftovers, require_space
from lookalike.server.install import debian, docker
from lookalike.server.mysqld import IN_TREE, Mysqld, find, inspect

WORKING = "install-"


def install(folders: Folders, *, mirror: str | None, progress: StepProgress) -> Mysqld:
    """Install the engine of the folders if none is installed, and return it.

    On Debian, its packages are preferred to Docker's image because they need no engine. mirror:
    install Debian's packages from this mirror, which also works on other systems with apt. The
    installation becomes visible only when it is complete and has run once.
    """
    with folders.locked("install"):
        if found := find(folders.tree, folders.engine):
            return found
        if sys.platform == "darwin" and mirror is None:
            return _with_homebrew(folders, progress)
        return _install_tree(folders, mirror, progress)


def _install_tree(folders: Folders, mirror: str | None, progress: StepProgress) -> Mysqld:
    engine = folders.engine
    if unusable := set(str(folders.home)) & set(':;"\n'):
        raise ServerError(
            f"{engine.title} cannot be installed in {folders.home}, because of {min(unusable)!r} "
            "in its name: set LOOKALIKE_HOME to another folder"
        )
    from_packages = _choose_packages(engine, mirror)
    megabytes = engine.origin.megabytes if from_packages else docker.MEGABYTES
    require_space(folders.home, megabytes=megabytes, purpose=f"Installing {engine.title}")
    remove_leftovers(folders.home, WORKING)
    with tempfile.TemporaryDirectory(prefix=WORKING, dir=folders.home) as work:
        tree = Path(work, engine.name)
        if from_packages:
            debian.unpack(tree, engine, work=Path(work, "apt"), mirror=mirror, progress=progress)
        else:
            docker.unpack(tree, engine, progress=progress)
        inspect(tree / IN_TREE / engine.program, engine)
        if folders.tree.exists():  # it no longer runs, otherwise `find` would have found it
            folders.tree.rename(Path(work, "old"))
        tree.rename(folders.tree)
    return inspect(folders.tree / IN_TREE / engine.program, engine)


def _choose_packages(engine: Engine, mirror: str | None) -> bool:
    """Whether to use Debian's packages; False for Docker's image."""
    if mirror is not None and not debian.has_apt():
        raise ServerError(
            f"--mirror {debian.without_password(mirror)} needs apt-get and dpkg, which are not on "
            "PATH: leave --mirror out"
        )
    if mirror is not None or debian.is_debian():
        return True
    if docker.runs():
        return False
    with_apt = (
        "name a Debian mirror with --mirror URL (and install the package debian-archive-keyring), "
        if debian.has_apt()
        else ""
    )
    raise ServerError(
        f"{engine.needed} cannot be installed on this machine by itself: {with_apt}start Docker, "
        f"install {engine.needed} and set {engine.variable} to its {engine.program}, or use your "
        "own server with --database URL"
    )


def _with_homebrew(folders: Folders, progress: StepProgress) -> Mysqld:
    engine, formula = folders.engine, folders.engine.origin.formula
    if shutil.which("brew") is None:
        raise ServerError(
            f"{engine.needed} is installed by Homebrew on macOS, and brew is not on PATH: install "
            f"Homebrew, or install {engine.needed} and set {engine.variable} to its "
            f"{engine.program}"
        )
    run(
        ["brew", "install", formula],
        failure=f"Homebrew could not install {formula}",
        meanwhile=lambda: progress(f"Installing {engine.title} with Homebrew", 0, 0),
    )
    if found := find(folders.tree, folders.engine):
        return found
    raise ServerError(
        f"Homebrew has installed {formula}, but its {engine.program} is not on PATH: "
        f"set {engine.variable} to $(brew --prefix {formula})/bin/{engine.program}"
    )
