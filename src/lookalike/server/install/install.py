"""Install MySQL for the private server: Debian's packages, Docker's image or Homebrew."""

import shutil
import sys
import tempfile
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress
from lookalike.server.commands import run
from lookalike.server.folders import Folders, remove_leftovers, require_space
from lookalike.server.install import debian, docker
from lookalike.server.mysqld import IN_TREE, VARIABLE, Mysqld, find, inspect

WORKING = "install-"


def install(folders: Folders, *, mirror: str | None, progress: StepProgress) -> Mysqld:
    """Install MySQL 9 if none is installed, and return it.

    On Debian, its packages are preferred to Docker's image because they need no engine. mirror:
    install Debian's packages from this mirror, which also works on other systems with apt. The
    installation becomes visible only when it is complete and has run once.
    """
    with folders.locked("install"):
        if found := find(folders.tree):
            return found
        if sys.platform == "darwin" and mirror is None:
            return _with_homebrew(folders, progress)
        return _install_tree(folders, mirror, progress)


def _install_tree(folders: Folders, mirror: str | None, progress: StepProgress) -> Mysqld:
    if unusable := set(str(folders.home)) & set(':;"\n'):
        raise ServerError(
            f"MySQL cannot be installed in {folders.home}, because of {min(unusable)!r} in its "
            "name: set LOOKALIKE_HOME to another folder"
        )
    from_packages = _choose_packages(mirror)
    megabytes = debian.MEGABYTES if from_packages else docker.MEGABYTES
    require_space(folders.home, megabytes=megabytes, purpose="Installing MySQL")
    remove_leftovers(folders.home, WORKING)
    with tempfile.TemporaryDirectory(prefix=WORKING, dir=folders.home) as work:
        tree = Path(work, "mysql")
        if from_packages:
            debian.unpack(tree, work=Path(work, "apt"), mirror=mirror, progress=progress)
        else:
            docker.unpack(tree, progress=progress)
        inspect(tree / IN_TREE)
        if folders.tree.exists():  # it no longer runs, otherwise `find` would have found it
            folders.tree.rename(Path(work, "old"))
        tree.rename(folders.tree)
    return inspect(folders.tree / IN_TREE)


def _choose_packages(mirror: str | None) -> bool:
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
        f"MySQL 9 cannot be installed on this machine by itself: {with_apt}start Docker, install "
        f"MySQL 9 and set {VARIABLE} to its mysqld, or use your own server with --database URL"
    )


def _with_homebrew(folders: Folders, progress: StepProgress) -> Mysqld:
    if shutil.which("brew") is None:
        raise ServerError(
            "MySQL 9 is installed by Homebrew on macOS, and brew is not on PATH: install Homebrew, "
            f"or install MySQL 9 and set {VARIABLE} to its mysqld"
        )
    run(
        ["brew", "install", "mysql"],
        failure="Homebrew could not install mysql",
        meanwhile=lambda: progress("Installing MySQL with Homebrew", 0, 0),
    )
    if found := find(folders.tree):
        return found
    raise ServerError(
        "Homebrew has installed mysql, but its mysqld is not on PATH: "
        f"set {VARIABLE} to $(brew --prefix mysql)/bin/mysqld"
    )
