"""The child process that drives Ray, so that the program around it stays as it is.

Ray replaces handlers of signals and of exceptions, prints to standard output and logs as it likes;
and whatever it started ends with this process. The messages between the two: first DriverOptions,
then windows of files, None for the end; back come Rows, Notices, and an End for each window.
"""

import logging
import os
import secrets
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from lookalike.core.cluster import RayCluster
from lookalike.core.threads import available_cores
from lookalike.pipeline.ray import workers

LOOPBACK: Final = "127.0.0.1"
LOCAL_STORE: Final = 500_000_000
"""Bytes of shared memory of a cluster that is started here, for pixels on their way."""

SHUTDOWN_SECONDS: Final = 10.0
"""How long Ray may take to end in order."""

REACH_SECONDS: Final = 10.0
"""How long the head of a cluster may take to be reached."""

BLOCK: Final = 64
"""Files of one task."""

TASK_BYTES: Final = 100_000_000
"""Memory that Ray sets aside for a task that decodes a block."""

Window = list[tuple[int, str]]
"""Files to embed, as (number, path)."""

_SETTINGS: Final = {
    # Without it, Ray listens on all interfaces.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
}


class DriverOptions(NamedTuple):
    """What to embed with, and where; folder: for the files of a cluster that is started here."""

    cluster: RayCluster
    decoding: workers.DecodeOptions
    model: workers.ModelOptions
    folder: str


class Row(NamedTuple):
    """A file that came back; outcome: of `workers`. embedding: float32, empty if there is none."""

    number: int
    outcome: int
    reason: str
    size: int
    mtime_ns: int
    embedding: bytes


class Notice(NamedTuple):
    """A line of news for the user."""

    text: str


class End(NamedTuple):
    """The end of a window; lost: why some of its files may be missing. failed: why no more come."""

    lost: str = ""
    failed: str = ""


def main() -> None:
    """Embed the windows that come over the connection whose file descriptor is the argument."""
    connection = Connection(int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)
    options: DriverOptions = connection.recv()
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_watch, args=(connection.fileno(),), daemon=True).start()
    try:
        _serve(options, connection)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ray = sys.modules.get("ray")
        if ray is not None:
            ray.shutdown()
        shutil.rmtree(options.folder, ignore_errors=True)  # the parent may have been killed


def _serve(options: DriverOptions, connection: Connection) -> None:
    try:
        _start(options, connection)
    # Ray has no common class for them: ConnectionError, RuntimeError, ValueError and others.
    except Exception as error:  # noqa: BLE001
        where = options.cluster.address or "this machine"
        connection.send(End(failed=f"cannot use Ray on {where}: {_first_line(error)}"))
        return
    with suppress(EOFError, ConnectionError):  # the parent has ended
        while window := connection.recv():
            connection.send(_run(window, options, connection))


def _leave(*_: object) -> None:
    raise SystemExit(1)


def _watch(descriptor: int) -> None:
    """End this process when the other end of the connection is closed, whatever Ray waits for."""
    poll = select.poll()
    poll.register(descriptor, 0)  # tells the end alone
    poll.poll()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(SHUTDOWN_SECONDS)
    os._exit(1)


def _start(options: DriverOptions, connection: Connection) -> None:
    """Start Ray here or connect to a cluster."""
    address = options.cluster.address
    os.environ.update(_SETTINGS)
    arguments: dict[str, Any] = {"address": address or "local"}
    if address and address != "auto":
        _reach(address)
    if address is None:
        if "RAY_AUTH_MODE" not in os.environ:  # other users of this machine are kept out
            token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
            os.environ.update(token)
        arguments |= {
            "num_cpus": max(2, available_cores()),
            "include_dashboard": False,
            "object_store_memory": LOCAL_STORE,
            "_node_ip_address": LOOPBACK,
            "_temp_dir": options.folder,
        }
    import ray
    import ray.data

    ray.init(**arguments, log_to_driver=False, logging_level=logging.ERROR)
    signal.signal(signal.SIGTERM, _leave)
    ray.data.DataContext.get_current().enable_progress_bars = False
    lacks = _lacks(options.cluster, ray.cluster_resources())
    if lacks and address is None:
        raise ValueError(f"{lacks}: ask for fewer workers or GPUs")
    if lacks:
        connection.send(Notice(f"{lacks}: waiting until the Ray cluster has grown"))


def _reach(address: str) -> None:
    """Raise OSError if nothing listens there: Ray itself would wait for minutes."""
    host, _, port = address.rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()


def _lacks(cluster: RayCluster, has: dict[str, float]) -> str:
    """Say what a cluster has too little of; empty if there is enough."""
    least = cluster.workers[0]
    needs = {"CPU": least + 1, "GPU": least * cluster.gpus_per_worker}
    lacks = [
        f"{need:g} {kind}s, and there are {has.get(kind, 0):g}"
        for kind, need in needs.items()
        if need > has.get(kind, 0)
    ]
    return f"{least} workers and decoding need {'; '.join(lacks)}" if lacks else ""


def _run(window: Window, options: DriverOptions, connection: Connection) -> End:
    """Embed a window and send its rows as they come."""
    from ray.exceptions import RayError, RayTaskError

    try:
        for rows in _rows(window, options):
            connection.send(rows)
    except RayTaskError as error:  # of code, not of a machine: it would fail again
        return End(failed=f"a worker of Ray failed: {_last_line(error)}")
    except RayError as error:
        return End(lost=_last_line(error))
    return End()


def _rows(window: Window, options: DriverOptions) -> Iterator[list[Row]]:
    import ray.data

    items = [{"number": number, "path": path} for number, path in window]
    least, most = options.cluster.workers
    decoded = ray.data.from_items(items, override_num_blocks=-(-len(items) // BLOCK)).map_batches(
        workers.decode,
        fn_args=(options.decoding,),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        # What needs the same is merged with the actors, and decoding would wait for embedding.
        memory=TASK_BYTES,
    )
    embedded = decoded.map_batches(
        workers.EmbeddingActor,
        fn_constructor_args=(options.model,),
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        batch_size=None,
        batch_format="pyarrow",
        num_cpus=1,
        num_gpus=options.cluster.gpus_per_worker,
    )
    for table in embedded.iter_batches(batch_size=None, batch_format="pyarrow"):
        columns = (table[name].to_pylist() for name in Row._fields)
        yield [Row(*values) for values in zip(*columns, strict=True)]


def _first_line(error: BaseException) -> str:
    return _lines(error)[0]


def _last_line(error: BaseException) -> str:
    """Return the line that tells what happened; those before are the stack."""
    return _lines(error)[-1]


def _lines(error: BaseException) -> list[str]:
    traceback.print_exception(error)  # the parent keeps it for the log
    return [line.strip() for line in str(error).splitlines() if line.strip()] or [repr(error)]
