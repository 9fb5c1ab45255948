"""Find an engine's programs, check their version, and build their commands."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.server.engine import MARIADB, MYSQL, Engine

IN_TREE = Path("usr/sbin")
NO_OPTION_FILES = "--no-defaults"


@dataclass(frozen=True)
class Tree:
    """A server unpacked with all of its libraries, run through its own loader.

    So it needs nothing of the system, not even the C library. Debian's packages and Docker's image
    are both installed as such a tree.
    """

    root: Path
    loader: Path

    @classmethod
    def around(cls, mysqld: Path) -> "Tree | None":
        """Return the tree that contains a mysqld; None for a mysqld of the system."""
        root = Path(*mysqld.parent.parts[: -len(IN_TREE.parts)])
        if root / IN_TREE != mysqld.parent or root == Path(root.anchor):
            return None
        patterns = ("usr/lib*/ld-linux*.so.*", "usr/lib/*/ld-linux*.so.*")
        loaders = [path for pattern in patterns for path in sorted(root.glob(pattern))]
        return cls(root, loaders[0]) if loaders else None

    def through_loader(self, *, name: str | None = None) -> list[str]:
        """Return the arguments that precede a program of the tree; `name` hides its path from it.

        A program that does not know where it is looks for others on PATH.
        """
        folders = [
            folder
            for pattern in ("usr/lib/*-linux-gnu*", "usr/lib64", "usr/lib64/mysql/private")
            for folder in sorted(self.root.glob(pattern))
        ]
        named = ["--argv0", name] if name else []
        return [str(self.loader), "--library-path", os.pathsep.join(map(str, folders)), *named]

    def options(self) -> list[str]:
        """Return the options that tell the tree's mysqld where its files are."""
        options = [f"--basedir={self.root / 'usr'}"]
        for messages in sorted(self.root.glob("usr/share/m*/english/errmsg.sys")):
            share = messages.parents[1]
            options += [f"--lc-messages-dir={share}", f"--character-sets-dir={share / 'charsets'}"]
        for plugins in sorted(self.root.glob("usr/lib*/mysql/plugin")):
            options.append(f"--plugin-dir={plugins}")
        return options


@dataclass(frozen=True)
class Mysqld:
    """A working mysqld of MySQL 9 or newer, or the program of another engine in its stead."""

    path: Path
    version: str
    engine: Engine = MYSQL

    def command(self) -> list[str]:
        """Return the command that runs it, without the system's and the user's option files."""
        tree = Tree.around(self.path)
        options = tree.options() if tree else []
        if os.geteuid() == 0:
            options.append("--user=root")  # otherwise mysqld refuses to run as root
        return [
            *_runnable(self.path, tree),
            NO_OPTION_FILES,
            *options,
            *self.engine.own_options,
        ]

    def client(self) -> list[str]:
        """Return the command that runs its client."""
        client = self.beside(self.engine.client)
        if client is None:
            raise ServerError(
                f"There is no {self.engine.client} client beside {self.path}: install that of "
                f"{self.engine.title} {self.version}"
            )
        return client

    def beside(self, name: str, *, hidden: bool = False) -> list[str] | None:
        """Return the command that runs a program of the same installation, None without one.

        hidden: the program is not told its own path.
        """
        for folder in (self.path.parent, self.path.parents[1] / "bin"):
            if program := shutil.which(folder / name):
                tree = Tree.around(self.path)
                return _runnable(Path(program), tree, name=name if hidden else None)
        return None

    def bootstrap(self) -> bytes:
        """Return the SQL that makes the system tables; empty if the program makes them by itself.

        Raises ServerError if the installation lacks it.
        """
        if not self.engine.system_tables:
            return b""
        usr = self.path.parents[1]
        for share in (usr / "share" / self.engine.name, usr / "share/mysql", usr / "share"):
            if all((share / name).is_file() for name in self.engine.system_tables):
                scripts = [(share / name).read_bytes() for name in self.engine.system_tables]
                return b"\n".join([b"CREATE DATABASE mysql;\nUSE mysql;", *scripts])
        raise ServerError(
            f"There is no {self.engine.system_tables[0]} in {usr / 'share'}: "
            f"install all of {self.engine.title} {self.version}"
        )


def _runnable(program: Path, tree: Tree | None, *, name: str | None = None) -> list[str]:
    return [*tree.through_loader(name=name), str(program)] if tree else [str(program)]


def inspect(path: Path, engine: Engine = MYSQL) -> Mysqld:
    """Run `mysqld --version`. Raises ServerError if it is not the engine, new enough."""
    mysqld = path.expanduser().resolve()
    needed = engine.needed
    if not shutil.which(mysqld):
        raise ServerError(f"{path} is not a program; give the {engine.program} of a {needed}")
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
    found = re.search(r"\bVer ((\d+)\.(\d+)[\w.+~-]*)(.*)", answer.stdout)
    if found is None:
        last = (answer.stderr or answer.stdout).strip().rpartition("\n")[2]
        raise ServerError(
            f"{path} does not print a version as {engine.program} does: {last or 'no output'}"
        )
    title = (MARIADB if "mariadb" in found[0].lower() else MYSQL).title
    if title != engine.title or (int(found[2]), int(found[3])) < engine.oldest:
        raise ServerError(f"{path} is {title} {found[1]}, and {needed} or newer is needed")
    return Mysqld(mysqld, found[1], engine)


def find(tree: Path, engine: Engine = MYSQL) -> Mysqld | None:
    """Return the program to use: the variable's, or else one on PATH, or else the one in `tree`.

    Raises ServerError if the variable names no suitable one; an unsuitable one on PATH is skipped.
    The variable may also name a program inside an installed tree (ROOT/usr/sbin/mysqld with a
    loader in ROOT), which then runs through the tree's loader.
    """
    return _search(tree, engine)[0]


def find_or_refuse(tree: Path, engine: Engine = MYSQL) -> Mysqld:
    """Like `find`, but raise a ServerError with the reason and remedy if there is none."""
    found, passed_over = _search(tree, engine)
    if found is None:
        raise ServerError(
            f"There is no {engine.needed} on this machine: {engine.to_install}"
            + "".join(f"\n{reason}" for reason in passed_over)
        )
    return found


def _search(tree: Path, engine: Engine) -> tuple[Mysqld | None, list[str]]:
    if named := os.environ.get(engine.variable):
        try:
            return inspect(Path(named), engine), []
        except ServerError as error:
            raise ServerError(f"{error} (set by {engine.variable})") from error
    passed_over: list[str] = []
    for path in (shutil.which(engine.program), shutil.which(tree / IN_TREE / engine.program)):
        if path:
            try:
                return inspect(Path(path), engine), passed_over
            except ServerError as error:
                passed_over.append(str(error))
    return None, passed_over
