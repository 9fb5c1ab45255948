"""Database URLs: `mysql://user:password@host:port/database?option=value`, also `mariadb://`."""

import ssl
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from lookalike.core.arguments import check_text
from lookalike.core.errors import InputError

SCHEMES = ("mysql", "mariadb", "oceanbase", "tidb")
"""Of the engines. mysql:// names the protocol: it may lead to any."""

SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_OPTIONS = ("unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "connect_timeout")
_FORM = "write it as mysql://user:password@host:port/database"
_ESCAPED = (
    "in the user, password and database write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F "
    "and # as %23, so that the password a@b/c is a%40b%2Fc"
)


@dataclass(frozen=True)
class DatabaseURL:
    """Where a database is and how to reach it; printed without its password.

    options: unix_socket (a path), connect_timeout (seconds), and for TLS ssl_mode (one of
    SSL_MODES, as the mysql client's), ssl_ca, ssl_cert and ssl_key (paths of PEM files).
    """

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str
    options: dict[str, str]
    scheme: str = "mysql"

    @classmethod
    def parse(cls, url: str) -> "DatabaseURL":
        """Read a URL; user, password and database may be percent-encoded.

        Raises InputError, which names the part at fault and never the password.
        """
        check_text("the URL of a database", url)
        try:
            url.encode()
            parts = urlsplit(url)
            port = parts.port or 3306
        except ValueError:  # what it says may be a piece of the password
            raise InputError(
                f"the database URL's host or port cannot be read; {_FORM}; {_ESCAPED}"
            ) from None
        # The @ before the host comes after the whole password: then what is read as host, database
        # or options may be pieces of the password.
        if "@" in parts.path + parts.query + parts.fragment:
            raise InputError(f"the database URL has an @ after its host: {_ESCAPED}")
        if parts.fragment:
            raise InputError(f"the database URL has a # after its host: {_ESCAPED}")
        if parts.scheme.removesuffix("+pymysql") not in SCHEMES:
            raise InputError(f"{parts.scheme or 'no scheme'!r} is not a database URL; {_FORM}")
        database = unquote(parts.path.lstrip("/"))
        if not database or not parts.username:
            missing = "user" if database else "database"
            raise InputError(f"the database URL names no {missing}; {_FORM}; {_ESCAPED}")
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        for option in options:
            if option not in _OPTIONS:
                raise InputError(
                    f"unknown option {option!r} in the database URL; known: {', '.join(_OPTIONS)}"
                )
        return cls(
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            host=parts.hostname or "localhost",
            port=port,
            database=database,
            options=options,
            scheme=parts.scheme.partition("+")[0],
        )

    def __str__(self) -> str:
        login = quote(self.user, safe="") + (":***" if self.password else "")
        socket = self.options.get("unix_socket")
        where = f"?unix_socket={socket}" if socket else ""
        port = "" if self.port == 3306 else f":{self.port}"
        return f"{self.scheme}://{login}@{self.host}{port}/{quote(self.database)}{where}"

    @property
    def place(self) -> str:
        """Where the database is, whoever connects: host, port or socket, and its name."""
        where = self.options.get("unix_socket") or f"{self.host}:{self.port}"
        return f"{where}/{self.database}"

    def driver_arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of pymysql.connect.

        Raises InputError for an option whose value cannot be used.
        """
        arguments: dict[str, Any] = {
            "user": self.user,
            "password": self.password.encode(),  # PyMySQL would take Latin-1, as no other client
            "host": self.host,
            "port": self.port,
            "database": self.database,
            "connect_timeout": self._timeout(),
        }
        if "unix_socket" in self.options:
            arguments["unix_socket"] = self.options["unix_socket"]
        return arguments | self._tls()

    def _timeout(self) -> int:
        text = self.options.get("connect_timeout", "10")
        if not (text.isdecimal() and text.isascii() and len(text) < 7 and int(text) > 0):
            raise InputError(f"connect_timeout={text[:40]} in the database URL: give whole seconds")
        return int(text)

    def _tls(self) -> dict[str, Any]:
        mode = self.options.get("ssl_mode", "").upper()
        files = {key: value for key, value in self.options.items() if key[4:] in _PEM_FILES}
        if mode and mode not in SSL_MODES:
            raise InputError(f"ssl_mode={mode} in the database URL; known: {', '.join(SSL_MODES)}")
        if not mode and not files:
            # Nobody else hears what passes through a socket file.
            return {"ssl_disabled": True} if "unix_socket" in self.options else {}
        if files and mode in ("DISABLED", "PREFERRED"):
            raise InputError(
                f"ssl_mode={mode} in the database URL makes no use of {', '.join(sorted(files))}: "
                "leave them out, or use REQUIRED, VERIFY_CA or VERIFY_IDENTITY"
            )
        if mode == "DISABLED":
            return {"ssl_disabled": True}
        if mode == "PREFERRED":
            return {}
        return {"ssl": self._context(mode or ("VERIFY_CA" if "ssl_ca" in files else "REQUIRED"))}

    def _context(self, mode: str) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.options.get("ssl_ca"))
            context.check_hostname = mode == "VERIFY_IDENTITY"
            if mode == "REQUIRED":
                context.verify_mode = ssl.CERT_NONE
            # The certificates that MySQL makes for itself have no key usage extension.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            if "ssl_cert" in self.options:
                context.load_cert_chain(self.options["ssl_cert"], self.options.get("ssl_key"))
        except OSError as error:  # ssl.SSLError is one
            raise InputError(f"the database URL's TLS files cannot be used: {error}") from error
        return context


_PEM_FILES = ("ca", "cert", "key")
