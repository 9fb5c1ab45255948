"""Images from the web, fetched with care: http and https, limited in size, time and redirects."""

import http.client
import ipaddress
import socket
import time
import urllib.error
import urllib.request
from typing import Any

from lookalike.errors import ImageError

MAX_BYTES = 50_000_000
"""How many bytes of a URL are taken at the most."""

TIME_LIMIT_SECONDS = 20.0
"""For connecting, each redirect and all of the bytes together."""

MAX_REDIRECTS = 5
_CHUNK = 1 << 16


class _Refused(OSError):
    """An address that is not on the public internet."""


def is_url(query: str) -> bool:
    """Whether a query is an http or https URL."""
    return query.lower().startswith(("http://", "https://"))


def download(url: str, *, allow_private: bool = False) -> bytes:
    """Return the bytes at an http or https URL.

    allow_private: also from this machine and private networks, which a URL that somebody else has
    chosen must not reach. Raises ImageError.
    """
    deadline = time.monotonic() + TIME_LIMIT_SECONDS
    request = urllib.request.Request(url, headers={"User-Agent": "lookalike"})
    content = bytearray()
    try:
        with _opener(allow_private).open(request, timeout=TIME_LIMIT_SECONDS) as response:
            while part := response.read(_CHUNK):
                content += part
                if len(content) > MAX_BYTES:
                    raise ImageError(
                        f"{url}: more than {MAX_BYTES:,} bytes; save a smaller copy first"
                    )
                if time.monotonic() > deadline:
                    raise TimeoutError(f"not read within {TIME_LIMIT_SECONDS:g} seconds")
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise ImageError(f"{url}: {getattr(error, 'reason', None) or error}") from error
    return bytes(content)


def _opener(allow_private: bool) -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HTTPHandler(allow_private),
        _HTTPSHandler(allow_private),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS


class _HTTPHandler(urllib.request.HTTPHandler):
    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_connection(http.client.HTTPConnection, self._allow_private), request)


class _HTTPSHandler(urllib.request.HTTPSHandler):
    def __init__(self, allow_private: bool) -> None:
        super().__init__()
        self._allow_private = allow_private

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_connection(http.client.HTTPSConnection, self._allow_private), request)


def _connection(kind: type[Any], allow_private: bool) -> Any:
    """Return a class of connections that look at the address which they really connect to."""
    # A proxy is where users have set it to be, and decides itself what may be reached.
    if allow_private or urllib.request.getproxies().keys() & {"http", "https"}:
        return kind

    def make(*args: Any, **kwargs: Any) -> Any:
        connection = kind(*args, **kwargs)
        connection._create_connection = _connect_publicly
        return connection

    return make


def _connect_publicly(
    address: tuple[str, int], timeout: float, source_address: tuple[str, int] | None = None
) -> socket.socket:
    """Connect like `socket.create_connection`, but to no address that is not public."""
    host, port = address
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Looked up once, so that a name cannot mean another address by the time it is connected to.
    for *_, name in found:
        if not _is_public(str(name[0])):
            raise _Refused(
                f"{host} is {name[0]}, which is not on the public internet; "
                "allow it with --allow-private-urls"
            )
    error: OSError | None = None
    for *_, name in found:
        try:
            return socket.create_connection((str(name[0]), port), timeout, source_address)
        except OSError as refused:
            error = refused
    raise error or OSError(f"{host} has no address")


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return found.is_global and not found.is_multicast
