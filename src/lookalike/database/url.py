"""Database URLs: `mysql://user:password@host:port/database?option=value`, also `mariadb://`.

The servers of a cluster are separated by commas: `mysql://user:password@a,b:3307,c/database`.
"""

import re
import ssl
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from lookalike.core.arguments import check_text
from lookalike.core.errors import InputError

SCHEMES = ("mysql", "mariadb", "oceanbase", "tidb")
"""Of the engines. mysql:// names the protocol: it may lead to any."""

SSL_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")
_OPTIONS = ("unix_socket", "ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "connect_timeout")
CLUSTER_OPTIONS = ("reads", "read_your_writes", "max_lag")
_SEVERAL = re.compile(r"([^/?#]*://(?:[^/?#]*@)?)([^/?#@]*,[^/?#@]*)([/?#][^@]*)", re.DOTALL)
"""A URL of several servers: up to the hosts, these, and the rest."""
_FORM = "write it as mysql://user:password@host:port/database"
_ESCAPED = (
    "in the user, password and database write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F "
    "and # as %23, so that the password a@b/c is a%40b%2Fc"
)


@dataclass(frozen=True)
class DatabaseURL:
    """Where a database is and how to reach it; printed without its password.

    options: unix_socket (a path), connect_timeout (seconds), and for TLS ssl_mode (one of
    SSL_MODES, as the mysql client's), ssl_ca, ssl_cert and ssl_key (paths of PEM files). Of a
    cluster also CLUSTER_OPTIONS. members: the servers of a cluster, in the URL's order.
    """

    user: str
    password: str = field(repr=False)
    host: str
    port: int
    database: str
    options: dict[str, str] = field(hash=False)
    scheme: str = "mysql"
    members: tuple["DatabaseURL", ...] = ()

    @classmethod
    def parse(cls, url: str) -> "DatabaseURL":
        """Read a URL; user, password and database may be percent-encoded.

        Raises InputError, which names the part at fault and never the password.
        """
        check_text("the URL of a database", url)
        if several := _SEVERAL.fullmatch(url):
            return cls._of_cluster(*several.groups())
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
                _refuse(option)
        host = unquote(parts.hostname or "localhost")
        if host.startswith("/"):  # a socket in the place of a host, in a list of them
            options["unix_socket"], host = _socket_of(parts.netloc), "localhost"
        return cls(
            user=unquote(parts.username),
            password=unquote(parts.password or ""),
            host=host,
            port=port,
            database=database,
            options=options,
            scheme=parts.scheme.partition("+")[0],
        )

    @classmethod
    def _of_cluster(cls, start: str, hosts: str, end: str) -> "DatabaseURL":
        """Read a URL of several servers, whose user, password, database and options are the same.

        start: up to the hosts. end: from the path on.
        """
        path, _, query = end.partition("?")
        pairs = query.split("&") if query else []
        ours = [pair for pair in pairs if pair.partition("=")[0] in CLUSTER_OPTIONS]
        rest = "&".join(pair for pair in pairs if pair not in ours)
        names = hosts.split(",")
        # No message shows the hosts: they may be pieces of the password.
        if not all(names):
            raise InputError("the database URL has an empty host in its list of servers")
        if "unix_socket" in (pair.partition("=")[0] for pair in pairs):
            raise InputError(
                "unix_socket in the URL of several servers would be that of each: write the path "
                "in the place of a host, with every / as %2F: mysql://user@%2Ftmp%2Fa.sock,b/db"
            )
        members = tuple(cls.parse(f"{start}{name}{path}?{rest}") for name in names)
        first = members[0]
        if first.scheme != "mysql":
            raise InputError(
                f"several servers in the database URL are a cluster of MySQL, not of {first.scheme}"
                ": give one address, such as that of a proxy"
            )
        if len({member.place for member in members}) < len(members):
            raise InputError("the database URL names a server twice")
        options = first.options | dict(parse_qsl("&".join(ours), keep_blank_values=True))
        return replace(first, options=options, members=members)

    def __str__(self) -> str:
        login = quote(self.user, safe="") + (":***" if self.password else "")
        if self.members:
            hosts = ",".join(member.address for member in self.members)
            return f"{self.scheme}://{login}@{hosts}/{quote(self.database)}"
        socket = self.options.get("unix_socket")
        where = f"?unix_socket={socket}" if socket else ""
        port = "" if self.port == 3306 else f":{self.port}"
        return f"{self.scheme}://{login}@{self.host}{port}/{quote(self.database)}{where}"

    @property
    def address(self) -> str:
        """The server's host and port, or its socket, as in a list of servers."""
        if "unix_socket" in self.options:
            return quote(self.options["unix_socket"], safe="")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 3306 else f"{host}:{self.port}"

    @property
    def place(self) -> str:
        """Where the database is, whoever connects: host, port or socket, and its name."""
        if self.members:
            return f"{','.join(member.address for member in self.members)}/{self.database}"
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


def _socket_of(netloc: str) -> str:
    """Return the path that stands in the place of a host; a host would be in lower case."""
    return unquote(netloc.rpartition("@")[2])


def _refuse(option: str) -> None:
    if option in CLUSTER_OPTIONS:
        raise InputError(
            f"{option} in the database URL is for a cluster, and the URL names one server: "
            "list them all, as in mysql://user:password@a,b,c/database"
        )
    raise InputError(f"unknown option {option!r} in the database URL; known: {', '.join(_OPTIONS)}")
