"""One line of log for each request, as text or JSON, and the figures of it."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.metrics import Metrics

_LOG = logging.getLogger("lookalike.web.requests")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Requests:
    """Log and count each request. Queries are not logged: they may hold words and tokens."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, sent = time.perf_counter(), 500, 0

        async def send_counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        finally:
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.count(method, _route(scope), status, seconds)
            if _LOG.isEnabledFor(logging.INFO):
                _log(scope, status, sent, seconds)


def _route(scope: Scope) -> str:
    """Return the pattern of the route, so that ids do not make labels without end."""
    route = scope.get("route")
    return getattr(route, "path", "") or "none"


def _log(scope: Scope, status: int, sent: int, seconds: float) -> None:
    client = scope.get("client")
    facts = {
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "milliseconds": round(seconds * 1000, 2),
        "bytes": sent,
        "client": client[0] if client else None,
    }
    _LOG.info("%(method)s %(path)s %(status)s %(milliseconds)s ms", facts, extra={"facts": facts})


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        facts = getattr(record, "facts", None)
        line |= facts if facts is not None else {"message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _AsText(logging.Formatter):
    """A line without characters that control a terminal: paths are the client's."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        return _printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        return "\n".join(map(_printable, super().formatException(ei).split("\n")))


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def start_logging(log_format: str, *, quiet: bool = False) -> None:
    """Write the log to standard error; quiet: without a line for each request."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _AsJson()
        if log_format == "json"
        else _AsText("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")
    )
    for name in ("lookalike.web", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "lookalike.web" else logging.WARNING)
    _LOG.setLevel(logging.WARNING if quiet else logging.INFO)
