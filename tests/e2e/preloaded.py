"""`lookalike` as a process that starts in milliseconds: forked from one that has imported it.

What runs is the program itself, in a process of its own, with its own arguments, folder,
environment and streams; only Python's start and the imports are saved.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryFile

from tests.places import REPO

LENGTH = 1 << 20  # of a request, in bytes
TIMEOUT = 120.0  # of a run, in seconds


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
        self, arguments: list[str], typed: str, *, cwd: Path, env: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        """Run `lookalike ARGUMENTS...` with this on its standard input."""
        request = json.dumps([arguments, str(cwd), dict(env)]).encode()
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


def become(arguments: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    """Take the place of a program that has just been started."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = ["lookalike", *arguments]
    sys.path[0] = cwd  # as `python -m` has it


if __name__ == "__main__":
    import lookalike.cli.main  # noqa: F401 (imported once, for all runs)
    from lookalike.__main__ import main

    serve(socket.socket(fileno=int(sys.argv[1])))
    main()
