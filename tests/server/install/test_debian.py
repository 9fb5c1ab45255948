"""Debian's packages are taken from a signed mirror only, whatever the machine's apt allows.

The mirrors are made here, with packages of a file each and throw-away keys.
"""

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lookalike.core.errors import ServerError
from lookalike.core.progress import silent
from lookalike.server.commands import run
from lookalike.server.engine import MYSQL
from lookalike.server.install import debian

pytestmark = pytest.mark.skipif(
    not (debian.has_apt() and shutil.which("gpg")), reason="needs apt, dpkg and gpg"
)

# All that an apt can be told to overlook.
CARELESS = """\
Acquire::AllowInsecureRepositories "true";
Acquire::AllowWeakRepositories "true";
Acquire::AllowDowngradeToInsecureRepositories "true";
APT::Get::AllowUnauthenticated "true";
APT::Get::Assume-Yes "true";
Acquire::GzipIndexes "true";
"""


@dataclass
class Mirror:
    """A folder that is laid out as a mirror of Debian's, with one package."""

    folder: Path
    keys: Path

    @property
    def package(self) -> Path:
        return self.folder / "pool" / "mysql-server-core_9.7_all.deb"

    @property
    def packages(self) -> Path:
        return self.folder / "dists/sid/main" / f"binary-{architecture()}" / "Packages"

    @property
    def release(self) -> Path:
        return self.folder / "dists/sid/Release"

    def fill(self) -> None:
        """Make the package and the index that names its hash."""
        source = self.folder / "source"
        for path, text in {
            "usr/sbin/mysqld": "the program",
            "DEBIAN/control": "Package: mysql-server-core\nVersion: 9.7\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.com>\nDescription: a test\n",
        }.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        self.package.parent.mkdir()
        source.chmod(0o755)
        run(["dpkg-deb", "--build", str(source), str(self.package)], failure="dpkg-deb")
        content = self.package.read_bytes()
        self.packages.parent.mkdir(parents=True)
        self.packages.write_text(
            (source / "DEBIAN/control").read_text()
            + f"Filename: pool/{self.package.name}\nSize: {len(content)}\n"
            + f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
        )
        index = self.packages.read_bytes()
        name = self.packages.relative_to(self.release.parent)
        self.release.write_text(
            "Origin: Debian\nSuite: unstable\nCodename: sid\n"
            f"Architectures: all {architecture()}\nComponents: main\n"
            "Date: Tue, 24 Nov 2026 00:00:00 UTC\n"
            f"SHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} {name}\n"
        )

    def sign(self, key: str) -> None:
        inside = str(self.release.with_name("InRelease"))
        gpg(self.keys, "--local-user", key, "--output", inside, "--clear-sign", str(self.release))

    def apt(self, work: Path) -> debian.Apt:
        return debian.Apt(
            work,
            f"file:{self.folder}",
            MYSQL.origin.suite,
            ("mysql-server-core",),
            MYSQL.title,
            self.folder.parent,
        )


def architecture() -> str:
    return run(["dpkg", "--print-architecture"], failure="dpkg").strip()


def gpg(home: Path, *arguments: str) -> bytes:
    command = ["gpg", "--batch", "--quiet", "--passphrase", "", "--pinentry-mode", "loopback"]
    environment = {**os.environ, "GNUPGHOME": str(home)}
    done = subprocess.run([*command, *arguments], env=environment, capture_output=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A GnuPG home with the keys "debian" and "stranger"."""
    home = tmp_path_factory.mktemp("keys")
    home.chmod(0o700)
    for name in ("debian", "stranger"):
        gpg(home, "--quick-generate-key", name, "ed25519", "sign", "never")
    yield home
    environment = {**os.environ, "GNUPGHOME": str(home)}
    subprocess.run(["gpgconf", "--kill", "all"], env=environment, check=True)


@pytest.fixture
def mirror(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> Mirror:
    """A mirror that nobody has signed, on a machine whose apt takes whatever comes."""
    (tmp_path / "debian-archive-keyring.gpg").write_bytes(gpg(keys, "--export", "debian"))
    (tmp_path / "careless.conf").write_text(CARELESS)
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "careless.conf"))
    made = Mirror(tmp_path / "mirror", keys)
    made.folder.mkdir()
    made.fill()
    return made


def install(mirror: Mirror, work: Path) -> list[str]:
    """The files that come of an installation."""
    apt = mirror.apt(work / "apt")
    apt.prepare()
    apt.download(silent)
    tree = work / "tree"
    tree.mkdir()
    apt.unpack(tree, silent)
    return [str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()]


def test_a_signed_mirror_is_taken(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sign("debian")
    assert install(mirror, tmp_path) == ["usr/sbin/mysqld"]


def test_an_unsigned_mirror_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="is not signed"):
        install(mirror, tmp_path)


def test_a_mirror_without_a_release_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.release.unlink()
    with pytest.raises(ServerError, match="does not have a Release file"):
        install(mirror, tmp_path)


def test_a_mirror_that_a_stranger_has_signed_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sign("stranger")
    with pytest.raises(ServerError, match="NO_PUBKEY|is not signed"):
        install(mirror, tmp_path)


def test_a_release_changed_after_its_signing_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sign("debian")
    signed = mirror.release.with_name("InRelease")
    signed.write_text(signed.read_text().replace("Origin: Debian", "Origin: Nobody"))
    with pytest.raises(ServerError, match="BADSIG|is not signed"):
        install(mirror, tmp_path)


def test_an_index_that_is_not_the_signed_one_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sign("debian")
    index = mirror.packages.read_text()
    mirror.packages.write_text(index.replace("a test", "a lie!"))
    with pytest.raises(ServerError, match="Hash Sum mismatch"):
        install(mirror, tmp_path)


def test_a_package_that_is_not_the_signed_one_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    mirror.sign("debian")
    content = bytearray(mirror.package.read_bytes())
    content[-1] ^= 1
    mirror.package.write_bytes(content)
    with pytest.raises(ServerError, match="Hash Sum mismatch"):
        install(mirror, tmp_path)


@pytest.mark.parametrize("what", ["changed", "added", "removed"])
def test_packages_are_compared_with_the_signed_index_again_before_they_are_unpacked(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    # An apt that hands over something else than it has checked.
    mirror.sign("debian")
    archives = mirror.apt(tmp_path / "apt").archives
    deb = archives / mirror.package.name
    spoil = {
        "changed": f"printf x >> {deb}",
        "added": f"cp {deb} {archives}/other_1_all.deb",
        "removed": f"rm {deb}",
    }[what]
    wrapper = tmp_path / "bin" / "apt-get"
    wrapper.parent.mkdir()
    real = shutil.which("apt-get")
    wrapper.write_text(f'#!/bin/sh\n{real} "$@" || exit\nif [ -e {deb} ]; then {spoil}; fi\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(wrapper.parent), prepend=os.pathsep)
    named = "other_1_all.deb" if what == "added" else mirror.package.name
    with pytest.raises(ServerError, match=f"{named} is not what the signed index of .* names"):
        install(mirror, tmp_path)
    assert not (tmp_path / "tree" / "usr").exists()
