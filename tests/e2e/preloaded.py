"""`lookalike` as a process that starts in milliseconds: forked from one that has imported it.

What runs is the program itself, in a process of its own, with its own arguments, folder,
environment and streams; only Python's start and the imports are saved.
"""

import ctypes
import json
import os
import pkgutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile

from tests.places import REPO

LENGTH = 1 << 20  # of a request, in bytes
TIMEOUT = 120.0  # of a run, in seconds

PR_CAPBSET_DROP, CAPABILITY_VERSION_3 = 24, 0x20080522
CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class Preloaded:
    """A process that has imported lookalike, and forks itself once for each run."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LENGTH)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.preloaded", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            cwd=REPO,
        )
        theirs.close()

    def run(
        self,
        arguments: list[str],
        typed: str,
        *,
        cwd: Path,
        env: Mapping[str, str],
        obeys_permissions: bool = False,
    ) -> "subprocess.CompletedProcess[str]":
        """Run `lookalike ARGUMENTS...` with this on its standard input.

        obeys_permissions: even if the tests run as root, whom permissions do not hold up.
        """
        request = json.dumps([arguments, str(cwd), dict(env), obeys_permissions]).encode()
        assert len(request) < LENGTH
        with TemporaryFile() as stdin, TemporaryFile() as stdout, TemporaryFile() as stderr:
            stdin.write(typed.encode())
            stdin.seek(0)
            streams = [stream.fileno() for stream in (stdin, stdout, stderr)]
            self._socket.settimeout(TIMEOUT)
            socket.send_fds(self._socket, [request], streams)
            status = int(self._socket.recv(64))
            printed = []
            for stream in (stdout, stderr):
                stream.seek(0)
                printed.append(stream.read().decode())
        return subprocess.CompletedProcess(arguments, status, *printed)

    def close(self) -> None:
        """End it."""
        self._socket.close()
        self._process.wait(10)


def preload() -> None:
    """Import, once for all runs, what they may import."""
    for package in ("cli", "collection", "add", "duplicates", "pages", "screening", "server"):
        folder = import_module(f"lookalike.{package}")
        for module in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}."):
            import_module(module.name)
    for library in ("rich.progress", "rich.table"):
        import_module(library)


def serve(connection: socket.socket) -> None:
    """Fork for each request; returns in the child, ready to run, and at the end."""
    while True:
        request, streams, _, _ = socket.recv_fds(connection, LENGTH, 3)
        if not request:
            os._exit(0)
        child = os.fork()
        if not child:
            become(*json.loads(request), streams)
            connection.close()
            return
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(
    arguments: list[str],
    cwd: str,
    env: dict[str, str],
    obeys_permissions: bool,
    streams: list[int],
) -> None:
    """Take the place of a program that has just been started."""
    if obeys_permissions and os.geteuid() == 0:
        obey_permissions()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = ["lookalike", *arguments]
    sys.path[0] = cwd  # as `python -m` has it


def obey_permissions() -> None:
    """Drop root's capabilities to ignore permissions, here and in programs that are run."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Words of 32 bits: effective, permitted and inheritable; then those of higher numbers.
    sets = (ctypes.c_uint32 * 6)()
    done = libc.capget(header, sets)
    for capability in CAPABILITIES:
        done = done or libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
        for word in range(3):
            sets[word] &= ~(1 << capability)
    if done or libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset")


if __name__ == "__main__":
    preload()
    from lookalike.__main__ import main

    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
