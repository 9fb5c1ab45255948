"""A private seekdb from the package `pylibseekdb`, on a unix socket only.

It stands for OceanBase, whose SQL it speaks. It runs while the process that opened it lives, so it
is opened by a process of its own, which ends it.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DATABASE = "test"  # which it makes itself
STOP_LIMIT = 60.0  # seconds
OPEN = """
import json, sys, pylibseekdb
server = pylibseekdb.open(sys.argv[1])
print(json.dumps(server.connection_options()), flush=True)
sys.stdin.read()
server.close()
pylibseekdb.close()
"""


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """The socket of a running seekdb with a database `test`, whose data are removed after it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="seekdb-") as data, opened(data) as socket:
        yield socket


@contextmanager
def opened(data: str | Path) -> Iterator[Path]:
    """The socket of a seekdb that runs on a data folder, made if it is missing."""
    # Without this setting it reports to its makers.
    environment = os.environ | {"TELEMETRY_ENABLED": "false"}
    with tempfile.TemporaryFile("w+") as log:
        opener = subprocess.Popen(
            [sys.executable, "-c", OPEN, str(data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
        assert opener.stdout is not None
        try:
            options = opener.stdout.readline()
            if not options:
                opener.wait(STOP_LIMIT)
                log.seek(0)
                raise SystemExit(f"seekdb has not come up:\n{log.read()[-2000:]}")
            yield Path(json.loads(options)["unix_socket"])
        finally:
            opener.communicate(timeout=STOP_LIMIT)  # closes its input, which ends it


def kill(data: Path) -> None:
    """End the server on a data folder at once, as a loss of power does."""
    os.kill(int(Path(data, "run", "seekdb.pid").read_text()), signal.SIGKILL)


def url(socket: Path) -> str:
    """The URL of its database."""
    return f"oceanbase://root@localhost/{DATABASE}?unix_socket={socket}"
