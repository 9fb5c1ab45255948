"""Run the app: bind, answer, and stop without cutting off what runs."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import FrameType

import uvicorn

from lookalike import Database, InputError
from lookalike.web.app import create_app
from lookalike.web.cores import share_one_core
from lookalike.web.logs import start_logging
from lookalike.web.protocol import PatientProtocol
from lookalike.web.settings import Settings

_BACKLOG = 512
_KEEP_ALIVE_SECONDS = 15
_MOST_CONNECTIONS = 900
"""Requests on more are answered 503; still more connections are closed."""
_OPEN_FILES = 8192


class _Server(uvicorn.Server):
    """Tells the app at once when it has to stop, so that endless answers end."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # To end is what was asked for: no exception for the program that called `run`.
        self._captured_signals.clear()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)


def run(db: Database, settings: Settings, *, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    ready: called with the port once requests are accepted. Raises InputError if the address cannot
    be bound.
    """
    with _bound(settings.host, settings.port) as listener:
        port = listener.getsockname()[1]
        settings = replace(settings, port=port)
        start_logging(settings.log_format)
        _allow_open_files()

        def begin() -> None:
            # What there is now stays for good: collections of garbage need not look through it.
            gc.collect()
            gc.freeze()
            ready(port)

        app = create_app(db, settings, ready=begin)
        limits = settings.limits
        seconds = {"head_seconds": limits.head_seconds, "stall_seconds": limits.stall_seconds}
        protocol = type("Protocol", (PatientProtocol,), seconds)
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=int(limits.stop_seconds),
            limit_concurrency=_MOST_CONNECTIONS,
        )
        share_one_core()  # the event loop, which runs in this thread
        _Server(config, app.state.lookalike.stopping).run([listener])


def _allow_open_files() -> None:
    """Allow this process more open files than the usual 1,024: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises InputError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except (OSError, OverflowError) as error:
        with suppress(OSError):
            listener.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot serve on {host} port {port}: {reason}; give --port") from error
    return listener
