"""PHP, Go and Java's driver of Debian, and Node's of npm, in a folder of the tests' own.

Nothing of the system is changed. java, node and npm have to be on the PATH: unpacked, Java would
be 140 MB more, and npm hundreds of packages.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from filelock import FileLock

from lookalike.core.progress import silent
from lookalike.server.install.debian import APT, Apt
from lookalike.server.install.sources import debian_mirror

SUITE = "bookworm"  # its Go runs with the libraries of any newer one
PACKAGES = (
    "php-cli",
    "php-mysql",
    "golang-go",
    "golang-github-go-sql-driver-mysql-dev",
    "libmariadb-java",
)
MYSQL2 = "mysql2@3"


def of_debian(folder: Path, packages: tuple[str, ...] = PACKAGES) -> Path:
    """The folder that Debian's packages are unpacked in, once."""
    tree = folder / "debian"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not tree.exists():
            mirror = debian_mirror(APT)
            assert mirror is not None, f"no Debian mirror among the sources in {APT}"
            with tempfile.TemporaryDirectory(dir=folder) as work:
                apt = Apt(Path(work, "apt"), mirror, SUITE, packages, "the languages")
                apt.prepare()
                apt.download(silent)
                new = Path(work, "tree")
                new.mkdir()
                apt.unpack(new, silent)
                new.rename(tree)
    return tree


def of_npm(folder: Path) -> Path:
    """The folder with mysql2 in its node_modules, installed once."""
    place = folder / "npm"
    place.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (place / "node_modules" / "mysql2").exists():
            command = [program("npm"), "install", "--no-audit", "--no-fund", "--prefix", place]
            done = subprocess.run([*command, MYSQL2], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr
    return place


def program(name: str) -> str:
    """The path of an installed program."""
    found = shutil.which(name)
    assert found, f"{name} is not on the PATH: install it"
    return found


def php(tree: Path) -> list[str]:
    """The command of the unpacked PHP with PDO for MySQL, through its own loader."""
    loader, *_ = tree.glob("lib/*-linux-gnu/ld-linux*.so.*")
    libraries = (*tree.glob("lib/*-linux-gnu"), *tree.glob("usr/lib/*-linux-gnu"))
    own = [str(loader), "--library-path", ":".join(map(str, libraries))]
    (modules,) = (tree / "usr/lib/php").glob("2*")
    names = ("mysqlnd", "pdo", "pdo_mysql")
    options = [f"-dextension={name}" for name in names]
    binary = str(tree / "usr/bin/php8.2")
    return [*own, binary, "-n", f"-dextension_dir={modules}", *options]


def go(tree: Path, build: Path) -> tuple[list[str], dict[str, str]]:
    """The command that compiles and runs Go with Debian's packages, and its environment."""
    (root,) = (tree / "usr/lib").glob("go-*")
    environment = {
        "GOROOT": str(root),
        "GOPATH": str(tree / "usr/share/gocode"),
        "GOCACHE": str(build),
        "GO111MODULE": "off",
        "CGO_ENABLED": "0",
        "HOME": str(build),
    }
    return [str(root / "bin/go"), "run"], environment


def java(tree: Path) -> list[str]:
    """The command that compiles and runs Java with MariaDB's connector."""
    jar = tree / "usr/share/java/mariadb-java-client.jar"
    return [program("java"), "-cp", str(jar)]
