"""Who may ask what: the Host header, the token, and the origin of requests that change things."""

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.problems import Problem, wants_page
from lookalike.web.settings import Settings
from lookalike.web.tokens import Access, Tokens

_OPEN = frozenset({"/health"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_ASKING = frozenset(
    {"/api/v1/search", "/api/v1/screen", "/screen", "/query-images", "/selection/export"}
)
"""Paths whose POST changes nothing of the user's."""

_STRANGERS = frozenset({"cross-site", "same-site"})
_COOKIE_SECONDS = 180 * 86400
HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' blob: data:",
            "style-src 'self'",
            "script-src 'self'",
            "connect-src 'self'",
            "font-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]


class Guard:
    """Refuse what is not allowed before any route sees it, and set the headers of safety.

    Sets `request.state.can_write`.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = settings.hosts
        self._tokens = Tokens(settings.token, settings.read_token)
        self._is_open = settings.token is None
        self._cookie = f"lookalike_{settings.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"] = list(message.get("headers", ()))
                present = {name.lower() for name, _ in headers}
                headers += [each for each in _RAW_HEADERS if each[0] not in present]
            await send(message)

        request = Request(scope, receive)
        try:
            access = self._admitted(request)
        except Problem as problem:
            response = problem.response()
            if wants_page(request):
                from lookalike.web.views.failed import failed_page

                response = failed_page(request, problem)
            await response(scope, receive, send_safely)
            return
        scope.setdefault("state", {})["can_write"] = access == "write"
        if request.method == "GET" and "token" in request.query_params:
            await self._welcome(request)(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)

    def _admitted(self, request: Request) -> Access:
        """Return what the client may do. Raises Problem if it is not what it asks for."""
        headers = request.headers
        _check_host(headers, self._hosts)
        path = request.url.path
        token, by_header = self._given(request)
        access = "write" if self._is_open else self._tokens.access(token)
        if access == "none" and path not in _OPEN and not path.startswith("/static/"):
            reason = "this token is wrong, or has been replaced" if token else "a token is needed"
            raise Problem(
                401,
                f"{reason}: open the address that `lookalike serve` printed, or send the header "
                "Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": 'Bearer realm="lookalike"'},
            )
        if self._is_open and headers.get("sec-fetch-site") in _STRANGERS and not _is_visit(headers):
            raise Problem(403, "another site may not ask this server")
        if request.method in _READING:
            return access
        if not by_header:
            _check_origin(headers, self._is_open)
        if access == "read" and path not in _ASKING:
            raise Problem(403, "this token may only read: use the one that may change things")
        return access

    def _given(self, request: Request) -> tuple[str, bool]:
        """Return the client's token, "" for none, and whether a header of its own has it."""
        if self._is_open:
            return "", False
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return token.strip(), True
        if token := request.query_params.get("token", ""):
            return token, False
        return _cookies(request.headers).get(self._cookie, ""), False

    def _welcome(self, request: Request) -> RedirectResponse:
        """Keep the token of the URL in a cookie, and take it out of the URL."""
        query = parse_qsl(request.url.query, keep_blank_values=True)
        others = urlencode([(name, value) for name, value in query if name != "token"])
        path = "/" + request.url.path.lstrip("/")
        target = f"{path}?{others}" if others else path
        response = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
        token = request.query_params["token"]
        if self._tokens.access(token) != "none":  # a wrong one must not replace the right one
            response.set_cookie(
                self._cookie,
                token,
                max_age=_COOKIE_SECONDS,
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
            )
        return response


def _check_host(headers: Headers, allowed: frozenset[str]) -> None:
    """Refuse names that are not the server's: a stranger's page may have them point here."""
    given = headers.get("host", "")
    try:
        name = "" if "@" in given else urlsplit(f"//{given}").hostname or ""
    except ValueError:
        name = ""
    if name not in allowed:
        raise Problem(
            421, f"this server is not {name or given!r}; allow that name with --allowed-host"
        )


def _is_visit(headers: Headers) -> bool:
    """Whether somebody follows a link to this server."""
    return headers.get("sec-fetch-mode") == "navigate" and (
        headers.get("sec-fetch-dest") == "document"
    )


def _check_origin(headers: Headers, is_open: bool) -> None:
    """Refuse changes that another site asks for with this user's cookie.

    is_open: whether no token is needed: then programs need not send one, and browsers are known by
    the headers that they always send.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None:
        is_own = _place(origin) == headers.get("host", "").lower()
    else:
        is_own = site == "same-origin" or (is_open and site is None)
    if not is_own:
        raise Problem(
            403,
            "changes are accepted from this server's own pages, and from programs that send the "
            "header Authorization: Bearer TOKEN",
        )


def _place(origin: str) -> str:
    """Return host and port of an origin; "" if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _cookies(headers: Headers) -> Mapping[str, str]:
    jar: SimpleCookie = SimpleCookie()
    for line in headers.getlist("cookie"):
        try:
            jar.load(line)
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}
