"""Run an engine's client on any server; it gets the password through an unnamed file."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from lookalike.core.errors import InputError, ServerError
from lookalike.server.engine import MYSQL, Engine

_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "connect_timeout")


def find_client(installed: Sequence[str] | None, engine: Engine = MYSQL) -> list[str]:
    """Return the command that runs the client: that of the installation, or else one on PATH."""
    if installed:
        return list(installed)
    if program := shutil.which(engine.client):
        return [program]
    raise ServerError(
        f"There is no {engine.client} client on this machine: {engine.to_install}, which brings one"
    )


def open_client(
    client: Sequence[str],
    engine: Engine = MYSQL,
    *,
    user: str,
    password: str,
    host: str,
    port: int,
    database: str,
    options: Mapping[str, str],
    args: Sequence[str],
) -> int:
    """Run the client on a server, with `args` passed to it, and return its exit status.

    The password appears in no command line, environment variable or named file.
    """
    where = [f"--host={host}", f"--port={port}", "--protocol=TCP"]
    if path := options.get("unix_socket"):
        where = [f"--socket={path}", "--protocol=SOCKET"]
    chosen = {name: options[name] for name in _OPTIONS if name in options}
    where += [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    mode = options.get("ssl_mode", "VERIFY_CA" if "ssl_ca" in options else "PREFERRED")
    if mode.upper() not in engine.tls:
        known = ", ".join(engine.tls)
        raise InputError(f"ssl_mode={mode.upper()} in the database URL; known: {known}")
    where += engine.tls[mode.upper()]
    with tempfile.TemporaryFile() as file:
        _write_password(file, password)
        command = [
            *client,
            f"--defaults-file=/dev/fd/{file.fileno()}",
            *engine.client_options,
            f"--user={user}",
            *where,
            f"--database={database}",
            *args,
        ]
        return subprocess.run(command, check=False, pass_fds=[file.fileno()]).returncode


def _write_password(file: IO[bytes], password: str) -> None:
    escaped = password.replace("\\", "\\\\").replace('"', '\\"')
    for letter, sign in (("n", "\n"), ("r", "\r"), ("t", "\t")):
        escaped = escaped.replace(sign, "\\" + letter)
    file.write(f'[client]\npassword="{escaped}"\n'.encode())
    file.flush()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
