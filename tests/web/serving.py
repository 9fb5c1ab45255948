"""`lookalike serve` as a process, and clients of it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import httpx

STOP_SECONDS = 60
T = TypeVar("T")


@dataclass
class Served:
    """A running server.

    Attributes:
        url: Its address, without a slash at the end.
        token: What gives full access; empty for a server without tokens.
        read_token: What gives access without changes, if it has one.
        database_url: Where its collections are.
        home: Its home: uploads and thumbnails are below it.
        process: The server.
    """

    url: str
    token: str
    read_token: str
    database_url: str
    home: Path
    process: subprocess.Popen[str]

    def client(self, *, token: str | None = None, **options: object) -> httpx.Client:
        """A client of the API that sends a token, by default that of full access."""
        sent = self.token if token is None else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=60, **options)  # type: ignore[arg-type]

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    @property
    def uploads(self) -> Path:
        return self.home / "uploads"

    def stop(self) -> int:
        """Stop it as Ctrl-C does; return its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        self.process.kill()
        self.process.wait(STOP_SECONDS)


@contextmanager
def serving(
    database_url: str,
    home: Path,
    *options: str,
    token: str | None = None,
    limits: Mapping[str, float] = MappingProxyType({}),
) -> Iterator[Served]:
    """Run `lookalike serve` on a free port; stop it at the end, whatever happened.

    Args:
        database_url: Where its collections are.
        home: Its home, so that neither uploads nor caches of anybody else are touched.
        options: Of the command line.
        limits: Other limits of requests than the usual ones.
        token: What gives access; None for the tokens that it makes itself, one of them read-only.
    """
    command = [*_program(limits), "--port", "0", "--json", "--database", database_url]
    command += ["--uploads", str(home / "uploads"), *options]
    environment = {**os.environ, "XDG_DATA_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    environment.pop("LOOKALIKE_TOKEN", None)
    if token:
        environment["LOOKALIKE_TOKEN"] = token
    with (home / "serve.log").open("a") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            lines = takewhile(lambda line: line != "}\n", process.stdout)
            document = "".join(lines)
            urls = json.loads(document + "}") if process.poll() is None else {}
            assert urls, (home / "serve.log").read_text()
            page = urls["Page"]
            address = page.partition("?")[0].rstrip("/")
            read = _token(urls.get("Read-only", ""))
            yield Served(address, _token(page), read, database_url, home, process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: the browser's loop may be running in this one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _program(limits: Mapping[str, float]) -> list[str]:
    if not limits:
        return [sys.executable, "-m", "lookalike", "serve"]
    program = (
        "import sys; from functools import partial; from lookalike.web import settings; "
        f"settings.Limits = partial(settings.Limits, **{dict(limits)!r}); "
        "sys.argv = ['lookalike', 'serve', *sys.argv[1:]]; "
        "from lookalike.__main__ import main; main()"
    )
    return [sys.executable, "-c", program]


def _token(url: str) -> str:
    return parse_qs(urlsplit(url).query).get("token", [""])[0]
