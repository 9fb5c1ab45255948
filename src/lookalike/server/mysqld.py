"""Find the MySQL programs, check their version, and build their commands."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.errors import ServerError

VARIABLE = "LOOKALIKE_MYSQLD"
IN_TREE = Path("usr/sbin/mysqld")
OLDEST = 9  # the first major version with VECTOR
NO_OPTION_FILES = "--no-defaults"


@dataclass(frozen=True)
class Tree:
    """A MySQL unpacked with all of its libraries, run through its own loader.

    So it needs nothing of the system, not even the C library. Debian's packages and Docker's image
    are both installed as such a tree.
    """

    root: Path
    loader: Path

    @classmethod
    def around(cls, mysqld: Path) -> "Tree | None":
        """Return the tree that contains a mysqld; None for a mysqld of the system."""
        root = Path(*mysqld.parts[: -len(IN_TREE.parts)])
        if root / IN_TREE != mysqld or root == Path(root.anchor):
            return None
        patterns = ("usr/lib*/ld-linux*.so.*", "usr/lib/*/ld-linux*.so.*")
        loaders = [path for pattern in patterns for path in sorted(root.glob(pattern))]
        return cls(root, loaders[0]) if loaders else None

    def through_loader(self) -> list[str]:
        """Return the arguments that precede a program of the tree."""
        folders = [
            folder
            for pattern in ("usr/lib/*-linux-gnu*", "usr/lib64", "usr/lib64/mysql/private")
            for folder in sorted(self.root.glob(pattern))
        ]
        return [str(self.loader), "--library-path", os.pathsep.join(map(str, folders))]

    def options(self) -> list[str]:
        """Return the options that tell the tree's mysqld where its files are."""
        options = [f"--basedir={self.root / 'usr'}"]
        for messages in sorted(self.root.glob("usr/share/mysql*/english/errmsg.sys")):
            share = messages.parents[1]
            options += [f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}"]
        for plugins in sorted(self.root.glob("usr/lib*/mysql/plugin")):
            options.append(f"--plugin-dir={plugins}")
        return options


@dataclass(frozen=True)
class Mysqld:
    """A working mysqld of MySQL 9 or newer."""

    path: Path
    version: str

    def command(self) -> list[str]:
        """Return the command that runs it, without the system's and the user's option files."""
        tree = Tree.around(self.path)
        options = tree.options() if tree else []
        if os.geteuid() == 0:
            options.append("--user=root")  # otherwise mysqld refuses to run as root
        # Some builds refuse to start if the system folder for exported files is missing.
        return [*_runnable(self.path, tree), NO_OPTION_FILES, *options, "--secure-file-priv=NULL"]

    def client(self) -> list[str]:
        """Return the command that runs its `mysql` client."""
        tree = Tree.around(self.path)
        for folder in (self.path.parent, self.path.parents[1] / "bin"):
            if client := shutil.which(folder / "mysql"):
                return _runnable(Path(client), tree)
        raise ServerError(
            f"There is no mysql client beside {self.path}: install that of MySQL {self.version}"
        )


def _runnable(program: Path, tree: Tree | None) -> list[str]:
    return [*tree.through_loader(), str(program)] if tree else [str(program)]


def inspect(path: Path) -> Mysqld:
    """Run `mysqld --version`. Raises ServerError if it is not MySQL 9 or newer."""
    mysqld = path.expanduser().resolve()
    if not shutil.which(mysqld):
        raise ServerError(f"{path} is not a program; give the mysqld of a MySQL {OLDEST}")
    try:
        answer = subprocess.run(
            [*_runnable(mysqld, Tree.around(mysqld)), NO_OPTION_FILES, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerError(f"{path} does not run: {error}") from error
    version = re.search(r"\bVer (\d+)\.[\w.+~-]+", answer.stdout)
    if version is None:
        last = (answer.stderr or answer.stdout).strip().rpartition("\n")[2]
        raise ServerError(f"{path} does not print a version as mysqld does: {last or 'no output'}")
    number = version[0].removeprefix("Ver ")
    if "mariadb" in answer.stdout.lower():
        raise ServerError(f"{path} is MariaDB ({number}), and MySQL {OLDEST} or newer is needed")
    if int(version[1]) < OLDEST:
        raise ServerError(f"{path} is MySQL {number}, and MySQL {OLDEST} or newer is needed")
    return Mysqld(mysqld, number)


def find(tree: Path) -> Mysqld | None:
    """Return the mysqld to use: LOOKALIKE_MYSQLD, or else one on PATH, or else the one in `tree`.

    Raises ServerError if the variable names no MySQL 9; an unsuitable mysqld on PATH is skipped.
    The variable may also name a mysqld inside an installed tree (ROOT/usr/sbin/mysqld with a loader
    in ROOT), which then runs through the tree's loader.
    """
    return _search(tree)[0]


def find_or_refuse(tree: Path) -> Mysqld:
    """Like `find`, but raise a ServerError with the reason and remedy if there is none."""
    found, passed_over = _search(tree)
    if found is None:
        raise ServerError(
            f"There is no MySQL {OLDEST} on this machine: run `lookalike server install`"
            + "".join(f"\n{reason}" for reason in passed_over)
        )
    return found


def _search(tree: Path) -> tuple[Mysqld | None, list[str]]:
    if named := os.environ.get(VARIABLE):
        try:
            return inspect(Path(named)), []
        except ServerError as error:
            raise ServerError(f"{error} (set by {VARIABLE})") from error
    passed_over: list[str] = []
    for path in (shutil.which("mysqld"), shutil.which(tree / IN_TREE)):
        if path:
            try:
                return inspect(Path(path)), passed_over
            except ServerError as error:
                passed_over.append(str(error))
    return None, passed_over
