"""Install Debian's packages of a server into a folder, without root.

apt works with private state: its own lists, cache and sources, and an empty list of installed
packages, so that every library is included. It uses the machine's proxies and passwords, but not
its hooks, pins, sources or settings for unsigned mirrors. apt checks the index against the
archive's keyring, and the packages against the index; their hashes are then checked again.
"""

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress
from lookalike.server.commands import run
from lookalike.server.engine import MYSQL, Engine
from lookalike.server.install.sources import debian_mirror

APT = Path("/etc/apt")
KEYRINGS = Path("/usr/share/keyrings")

SOURCES = """\
Types: deb
URIs: {mirror}
Suites: {suite}
Components: main
Architectures: {architecture}
Targets: Packages
Signed-By: {keyring}
"""

# Read after the machine's own configuration. The machine's hooks are cleared: they are for the
# system's package lists. As root, apt would download as a user who cannot enter our folder.
CONFIGURATION = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Key;
#clear Acquire::gpgv;
Dir::State "{root}/state/";
Dir::State::lists "lists/";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache/";
Dir::Cache::archives "archives/";
Dir::Log "{root}/log/";
Dir::Etc::sourcelist "{root}/debian.sources";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Default-Release "";
APT::Update::Error-Mode "any";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
APT::Get::AllowUnauthenticated "false";
Acquire::ForceHash "SHA256";
Acquire::Languages "none";
Acquire::Retries "3";
"""

# One line of `apt-get --print-uris`: address, file, size in bytes, and hash from the index.
PLANNED = re.compile(r"^'\S+' (\S+) (\d+) (\S*)$", re.MULTILINE)

# mysqldumpslow and other scripts, unused here, depend on Perl.
UNUSED_PACKAGES = ("perl", "libperl")


def is_debian() -> bool:
    """Whether this machine runs Debian itself, whose sources name a Debian mirror."""
    return has_apt() and _os_id() == "debian"


def has_apt() -> bool:
    """Whether Debian's packages can be downloaded and unpacked here."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg", "dpkg-deb"))


def unpack(
    tree: Path,
    engine: Engine = MYSQL,
    *,
    work: Path,
    mirror: str | None,
    progress: StepProgress,
    sources: Path = APT,
    keyrings: Path = KEYRINGS,
) -> None:
    """Download a server and its libraries from a Debian mirror and unpack them into `tree`.

    mirror: by default that of the machine's own sources. work: an empty folder for apt.
    """
    mirror = mirror or debian_mirror(sources)
    if mirror is None:
        raise ServerError(
            f"No Debian mirror among the sources in {sources}: name one with --mirror URL"
        )
    origin = engine.origin
    apt = Apt(work, mirror, origin.suite, origin.packages, engine.title, keyrings)
    apt.prepare()
    apt.download(progress)
    tree.mkdir()
    apt.unpack(tree, progress)
    for program in tree.glob("usr/bin/*"):
        if program.name not in engine.origin.programs:
            program.unlink()


@dataclass(frozen=True)
class Apt:
    """apt with private state in the folder `root`, for packages of one suite of a mirror of Debian.

    title: what the packages are, as people write it.
    """

    root: Path
    mirror: str
    suite: str
    packages: tuple[str, ...]
    title: str
    keyrings: Path = KEYRINGS

    @property
    def archives(self) -> Path:
        return self.root / "cache" / "archives"

    @property
    def _public_mirror(self) -> str:
        return without_password(self.mirror)

    def prepare(self) -> None:
        for folder in ("state/lists/partial", "cache/archives/partial", "log"):
            (self.root / folder).mkdir(parents=True)
        architecture = run(["dpkg", "--print-architecture"], failure="dpkg does not run").strip()
        source = SOURCES.format(
            # for file: addresses apt uses packages in place; copy: copies them here
            mirror=re.sub(r"^file:", "copy:", self.mirror),
            suite=self.suite,
            architecture=architecture,
            keyring=_keyring(self.keyrings),
        )
        (self.root / "status").touch()
        (self.root / "debian.sources").write_text(source)
        (self.root / "apt.conf").write_text(CONFIGURATION.format(root=self.root))

    def download(self, progress: StepProgress) -> None:
        """Download the packages and all their dependencies."""
        step = "Reading Debian's package lists"
        self._run("update", meanwhile=lambda: progress(step, 0, 0))
        install = ("install", "--yes", "--download-only")
        plan = self._run(*install, "--print-uris", *self.packages)
        planned = PLANNED.findall(plan)
        total = sum(int(size) for _, size, _ in planned)

        def report() -> None:
            progress(f"Downloading {self.title}", min(_size(self.archives), total), total)

        self._run(*install, *self.packages, meanwhile=report)
        report()
        self._verify({name: digest for name, _, digest in planned})

    def _verify(self, expected: dict[str, str]) -> None:
        """Check the packages' hashes against the signed index."""
        found = dict[str, str]()
        for path in self.archives.glob("*.deb"):
            with path.open("rb") as file:
                found[path.name] = f"SHA256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
        for name in sorted(expected.keys() | found):
            if expected.get(name) != found.get(name):
                raise ServerError(
                    f"{name} is not what the signed index of {self._public_mirror} names: name "
                    "another Debian mirror with --mirror URL"
                )

    def unpack(self, tree: Path, progress: StepProgress) -> None:
        packages = sorted(self.archives.glob("*.deb"))
        step = f"Unpacking {self.title}"
        for number, package in enumerate(packages):
            progress(step, number, len(packages))
            if not package.name.startswith(UNUSED_PACKAGES):
                run(
                    ["dpkg-deb", "--extract", str(package), str(tree)],
                    failure=f"{package.name} could not be unpacked into {tree}",
                )
            package.unlink()
        progress(step, len(packages), len(packages))

    def _run(self, *arguments: str, meanwhile: Callable[[], None] = lambda: None) -> str:
        return run(
            ["apt-get", f"--config-file={self.root / 'apt.conf'}", *arguments],
            env={**os.environ, "LC_ALL": "C"},
            failure=(
                f"{self.title} could not be fetched from {self._public_mirror} (suite "
                f"{self.suite}): check the network, or name another Debian mirror "
                "with --mirror URL"
            ),
            meanwhile=meanwhile,
        )


def without_password(url: str) -> str:
    """Return a mirror's address without its password, for printing."""
    return re.sub(r"//.*@", "//", url)


def _keyring(folder: Path) -> Path:
    for name in ("debian-archive-keyring.gpg", "debian-archive-keyring.pgp"):
        if (folder / name).is_file():
            return folder / name
    raise ServerError(
        f"No debian-archive-keyring.gpg in {folder}, which Debian's packages are checked with: "
        "install the package debian-archive-keyring"
    )


def _os_id() -> str:
    try:
        return platform.freedesktop_os_release().get("ID", "")
    except OSError:
        return ""


def _size(folder: Path) -> int:
    """Return the size of the packages in a folder, in which apt may be moving files."""
    size = 0
    for path in folder.rglob("*.deb"):
        try:
            size += path.stat().st_size
        except FileNotFoundError:
            continue
    return size
