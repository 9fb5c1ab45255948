"""Start Ray on this machine, or connect to a cluster; all of it ends with the session."""

import importlib.util
import logging
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final, Self

from lookalike.core.cluster import RayCluster
from lookalike.core.errors import InputError, LookalikeError, MissingExtra
from lookalike.core.threads import available_cores

LOOPBACK: Final = "127.0.0.1"
LOCAL_STORE: Final = 500_000_000
"""Bytes of shared memory of a cluster that is started here, for pixels on their way."""

_SETTINGS: Final = {
    # Without it, Ray listens on all interfaces.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # on standard error, where users would take it for ours
}


def check_installed() -> None:
    """Raise MissingExtra without the extra `ray`."""
    if not all(importlib.util.find_spec(module) for module in ("ray", "pyarrow")):
        raise MissingExtra("ray", "embedding on a Ray cluster")


class RaySession:
    """A connection to Ray; leaving the `with` block ends it, and what was started for it.

    A program that has called `ray.init` keeps its cluster. notify: called with one line of news.
    Raises InputError, and LookalikeError if there is no such cluster.
    """

    def __init__(self, cluster: RayCluster, notify: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._notify = notify
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._enter(undo)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _enter(self, undo: ExitStack) -> None:
        is_local = self._cluster.address is None
        own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        new = {**_SETTINGS, **(own if is_local and "RAY_AUTH_MODE" not in os.environ else {})}
        undo.callback(_restore, {name: os.environ.get(name) for name in new})
        os.environ.update(new)
        import ray

        if not ray.is_initialized():
            _keep_handlers(undo)
            self._start(ray, undo)
        elif not is_local:
            raise InputError("this program has called ray.init: leave the cluster's address out")
        _be_quiet()
        self._check_room(ray, is_local=is_local)

    def _start(self, ray: Any, undo: ExitStack) -> None:
        options: dict[str, Any] = {"address": self._cluster.address or "local"}
        if self._cluster.address is None:
            folder = tempfile.mkdtemp(prefix="lookalike-ray-")
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            options |= {
                "num_cpus": max(2, available_cores()),
                "include_dashboard": False,
                "object_store_memory": LOCAL_STORE,
                "_node_ip_address": LOOPBACK,
                "_temp_dir": folder,
            }
        undo.callback(ray.shutdown)
        try:
            ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
        # Ray has no common class for them: ConnectionError, RuntimeError, ValueError and others.
        except Exception as error:
            where = self._cluster.address or "this machine"
            raise LookalikeError(f"cannot use Ray on {where}: {_line(error)}") from error

    def _check_room(self, ray: Any, *, is_local: bool) -> None:
        """Say if the cluster has no room for the workers: then Ray waits for more nodes."""
        has = ray.cluster_resources()
        workers, gpus = self._cluster.workers[0], self._cluster.gpus_per_worker
        needs = {"CPU": workers + 1, "GPU": workers * gpus}
        lacks = [
            f"{needs[kind]:g} {kind}s, and there are {has.get(kind, 0):g}"
            for kind in needs
            if needs[kind] > has.get(kind, 0)
        ]
        if not lacks:
            return
        what = f"{workers} workers and decoding need {'; '.join(lacks)}"
        if is_local:
            raise InputError(f"{what}: ask for fewer workers or GPUs")
        self._notify(f"{what}: waiting until the cluster has grown")


def _restore(variables: dict[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _keep_handlers(undo: ExitStack) -> None:
    """Put back what `ray.init` replaces: the handlers of SIGTERM and of uncaught exceptions."""
    undo.callback(setattr, sys, "excepthook", sys.excepthook)
    if threading.current_thread() is threading.main_thread():
        undo.callback(signal.signal, signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _be_quiet() -> None:
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
