"""Upgrade a data folder that an older version has made, for engines that do not by themselves.

The file mariadb_upgrade_info in it, which their upgrader also writes, holds the version.
"""

import os
import re
import shlex
import tempfile
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress
from lookalike.server import log
from lookalike.server.commands import run
from lookalike.server.folders import Folders
from lookalike.server.mysqld import Mysqld

Version = tuple[int, ...]


def note(mysqld: Mysqld, data: Path) -> None:
    """Note which version has made a data folder."""
    if mysqld.engine.upgrader:
        number = _text(_number(mysqld.version))
        _file(data).write_text(f"{number}-{mysqld.engine.title}\n")


def check(mysqld: Mysqld, data: Path) -> None:
    """Raise ServerError if a newer version has made a data folder: it may be unreadable."""
    made, this = _made_by(mysqld, data), _number(mysqld.version)
    if made[:2] > this[:2]:  # versions of one series read each other's
        raise ServerError(
            log.other_version(data, mysqld.engine, this=_text(this), made=_text(made))
        )


def upgrade(mysqld: Mysqld, folders: Folders, progress: StepProgress) -> None:
    """Upgrade the system tables of a running server, if an older version has made them.

    Raises ServerError if that fails.
    """
    name = mysqld.engine.upgrader
    if name is None or _made_by(mysqld, folders.data) >= _number(mysqld.version):
        return
    upgrader = mysqld.beside(name, hidden=True)
    if upgrader is None:
        return
    with tempfile.TemporaryDirectory(prefix="upgrade-", dir=folders.home) as tools:
        # It calls others, which run through the loader as well: scripts on PATH stand for them.
        for tool in mysqld.engine.tools:
            if command := mysqld.beside(tool):
                script = Path(tools, tool)
                script.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
                script.chmod(0o700)
        run(
            [*upgrader, "--no-defaults", "--user=root", f"--socket={folders.socket}"],
            env={**os.environ, "PATH": os.pathsep.join((tools, os.environ.get("PATH", "")))},
            failure=(
                f"The tables of {folders.data} could not be upgraded to {mysqld.engine.title} "
                f"{mysqld.version}: see {folders.log}"
            ),
            meanwhile=lambda: progress(f"Upgrading {mysqld.engine.title}'s tables", 0, 0),
        )


def _made_by(mysqld: Mysqld, data: Path) -> Version:
    """Return the version that has made or upgraded a data folder, () if that is not known."""
    if mysqld.engine.upgrader is None:
        return ()
    try:
        return _number(_file(data).read_text())
    except OSError:
        return ()


def _file(data: Path) -> Path:
    return data / "mariadb_upgrade_info"


def _number(version: str) -> Version:
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(part) for part in found.groups()) if found else ()


def _text(version: Version) -> str:
    return ".".join(map(str, version))
