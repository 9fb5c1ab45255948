"""Download images over http and https, with limits on size, time and redirects."""

import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPMessage
from typing import IO, Any, Self

from lookalike.core.errors import ImageError
from lookalike.images.addresses import is_public

MAX_BYTES = 50_000_000
"""Maximum size of a download in bytes."""

TIME_LIMIT_SECONDS = 20.0
"""For connecting, all redirects and all bytes together."""

MAX_REDIRECTS = 5
_CHUNK = 1 << 16
_TOLD = 500  # characters of a URL and of a reason


class _Refused(OSError):
    """An address that is not on the public internet."""


def download(
    url: str,
    *,
    allow_private: bool = False,
    max_bytes: int = MAX_BYTES,
    time_limit: float = TIME_LIMIT_SECONDS,
) -> bytes:
    """Return the bytes at an http or https URL.

    allow_private: also allow this machine and private networks; keep it off for URLs chosen by
    others. Raises ImageError, in one line, for any failure.
    """
    deadline = _Deadline(time_limit)
    content = bytearray()
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "lookalike"})
        with deadline, _opener(deadline, allow_private).open(request) as response:
            while part := response.read1(_CHUNK):
                content += part
                if len(content) > max_bytes:
                    raise _failure(url, f"more than {max_bytes:,} bytes; save a smaller copy first")
        deadline.check()  # a connection that was shut down looks like end of file
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        reason = deadline.late or getattr(error, "reason", None) or error
        raise _failure(url, str(reason) or type(error).__name__) from error
    return bytes(content)


def _failure(url: str, reason: str) -> ImageError:
    """Return the error for a URL as one line; strangers may control both the URL and the reason."""
    start = url if len(url) <= _TOLD else f"{url[:_TOLD]}..."
    text = f"{start}: {reason[:_TOLD]}"
    return ImageError("".join(c if c.isprintable() else ascii(c)[1:-1] for c in text))


class _Deadline:
    """Ends a download at a deadline, even if bytes still trickle in.

    A socket's own timeout restarts with every byte.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []

    @property
    def remaining(self) -> float:
        """Return the seconds left. Raises TimeoutError if there are none."""
        self.check()
        return max(0.001, self._end - time.monotonic())

    @property
    def late(self) -> str | None:
        """Return the message if the time is over, else None."""
        is_over = time.monotonic() >= self._end
        return f"not read within {self._seconds:g} seconds" if is_over else None

    def check(self) -> None:
        """Raise TimeoutError if the time is over."""
        if self.late:
            raise TimeoutError(self.late)

    def watch(self, connected: socket.socket) -> None:
        """Shut a connection down when the time is over."""
        with self._lock:
            # A second handle on the same connection, because TLS takes over the first.
            self._sockets.append(connected.dup())

    def _shut_down(self) -> None:
        with self._lock:
            for connected in self._sockets:
                with suppress(OSError):
                    connected.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            for connected in self._sockets:
                connected.close()
            self._sockets.clear()


def _opener(deadline: _Deadline, allow_private: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HTTPHandler(deadline, allow_private),
        _HTTPSHandler(deadline, allow_private),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        with closing(fp):  # an unreadable address would otherwise leave it open
            return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Connecting:
    """Connects within a deadline; to private addresses only if allowed."""

    def __init__(self, deadline: _Deadline, allow_private: bool) -> None:
        super().__init__()
        self._deadline = deadline
        self._allow_private = allow_private

    def _to(self, kind: type[Any], request: urllib.request.Request) -> Any:
        """Return the factory of a request's connections, of one kind."""
        if "@" in request.host:  # otherwise the name server would be sent all of it
            raise _Refused("a URL with a user or password is not downloaded; leave them out")
        # The user configured the proxy's address, and the proxy decides what may be reached.
        is_proxy = request.has_proxy() or getattr(request, "_tunnel_host", None)
        anywhere = self._allow_private or bool(is_proxy)

        def make(*args: Any, **kwargs: Any) -> Any:
            connection = kind(*args, **kwargs)
            connection._create_connection = partial(_connect, self._deadline, anywhere)
            return connection

        return make


class _HTTPHandler(_Connecting, urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._to(http.client.HTTPConnection, request), request)


class _HTTPSHandler(_Connecting, urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(self._to(http.client.HTTPSConnection, request), request)


def _connect(
    deadline: _Deadline,
    anywhere: bool,
    address: tuple[str, int],
    _timeout: float | None,
    source_address: tuple[str, int] | None = None,
) -> socket.socket:
    """Connect like `socket.create_connection`; anywhere: also to private addresses."""
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Resolve once, so that the name cannot change its address before the connection.
    for *_, name in found:
        if not (anywhere or is_public(str(name[0]))):
            raise _Refused(
                f"{host} is {name[0]}, which is not on the public internet; "
                "allow it with --allow-private-urls"
            )
    error: OSError | None = None
    for *_, name in found:
        try:
            target = (str(name[0]), port)
            connected = socket.create_connection(target, deadline.remaining, source_address)
        except OSError as refused:
            error = refused
        else:
            deadline.watch(connected)
            return connected
    raise error or OSError(f"{host} cannot be resolved")
