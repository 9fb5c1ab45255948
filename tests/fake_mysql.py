"""A MySQL server that greets, and writes down what it is told: run as a process.

python -m tests.fake_mysql SOCKET HEARD [UID]: it takes the socket's name as it is, then becomes
another user, and only then listens, as an attacker's own process would.
"""

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.places import REPO

CAPABILITIES = 0x000FA20F  # the protocol of MySQL 4.1, and plugins


def greeting() -> bytes:
    """The packet that a server begins with, of the protocol's version 10."""
    low, high = CAPABILITIES & 0xFFFF, CAPABILITIES >> 16
    payload = b"\x0a9.7.0\0" + struct.pack("<I8sxHBHHB10x", 1, b"s" * 8, low, 45, 2, high, 21)
    payload += b"s" * 12 + b"\0mysql_native_password\0"
    return len(payload).to_bytes(3, "little") + b"\0" + payload


def main() -> None:
    path, heard, *user = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listener, Path(heard).open("ab", buffering=0) as file:
        listener.bind(path)
        if user:
            os.setuid(int(user[0]))
        listener.listen()
        print("listening", flush=True)
        while True:
            connected, _ = listener.accept()
            with connected, suppress(ConnectionError):  # of a client that leaves at once
                connected.sendall(greeting())
                file.write(connected.recv(4096))


@contextmanager
def running(path: Path, heard: Path, *, user: int | None = None) -> Iterator[None]:
    """A fake server on a socket, as another user if this one is root."""
    arguments = [str(path), str(heard), *([] if user is None else [str(user)])]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fake_mysql", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPO,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    main()
