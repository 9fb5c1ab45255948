"""What is particular to each engine that can run as a private server."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lookalike.core.errors import InputError


@dataclass(frozen=True)
class Origin:
    """Where an engine's programs come from.

    suite, packages: of Debian. programs: what is kept of their usr/bin. megabytes: peak disk use of
    unpacking the packages. image: of Docker. image_files: what is copied out of it. formula: of
    Homebrew.
    """

    suite: str
    packages: tuple[str, ...]
    programs: frozenset[str]
    megabytes: int
    image: str
    image_files: tuple[str, ...]
    formula: str


@dataclass(frozen=True)
class Engine:
    """An engine's names, programs and options.

    Attributes:
        name: As in `--engine`; the scheme of its URLs, and the folder of its installed programs.
        title: As people write it.
        folder: Of all its files, in the home folder.
        program: The server.
        client: Its client.
        variable: Names another server program.
        oldest: The first version with vectors.
        own_options: Of every command of the server program.
        server_options: Of a running server.
        client_options: Of the client.
        tls: The client's options for each ssl_mode of a URL.
        daemonizes: Whether the program puts itself into the background.
        initialize: Options that make a data folder.
        system_tables: SQL that makes its tables, for programs that do not by themselves.
        upgrader: Program that upgrades the tables of an older version.
        tools: Programs that the upgrader calls.
        to_install: The remedy where it is not installed; `to_stop` and `to_start` likewise.
    """

    name: str
    title: str
    folder: str
    program: str
    client: str
    variable: str
    oldest: tuple[int, ...]
    origin: Origin
    own_options: tuple[str, ...]
    server_options: tuple[str, ...]
    client_options: tuple[str, ...]
    tls: Mapping[str, tuple[str, ...]] = field(hash=False)
    daemonizes: bool
    initialize: tuple[str, ...]
    to_install: str
    to_start: str
    to_stop: str
    system_tables: tuple[str, ...] = ()
    upgrader: str | None = None
    tools: tuple[str, ...] = ()

    @property
    def needed(self) -> str:
        """The engine with its oldest usable version."""
        return f"{self.title} {'.'.join(map(str, self.oldest))}"


_TLS_MODES = ("DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")

MYSQL = Engine(
    name="mysql",
    title="MySQL",
    folder="",
    program="mysqld",
    client="mysql",
    variable="LOOKALIKE_MYSQLD",
    oldest=(9,),
    origin=Origin(
        suite="sid",  # the only suite with MySQL
        packages=("mysql-server-core", "mysql-client-core"),
        programs=frozenset({"mysql", "mysqladmin", "mysqldump"}),
        megabytes=600,
        image="mysql:9.7",
        image_files=("usr/lib*/ld-linux*", "usr/lib64", "usr/share/mysql*"),
        formula="mysql",
    ),
    # Some builds refuse to start if the system folder for exported files is missing.
    own_options=("--secure-file-priv=NULL",),
    server_options=("--mysqlx=OFF", "--daemonize"),
    client_options=("--no-login-paths",),
    tls={mode: (f"--ssl-mode={mode}",) for mode in _TLS_MODES},
    daemonizes=True,
    initialize=("--initialize-insecure",),
    to_install="run `lookalike server install`",
    to_start="lookalike server start",
    to_stop="run `lookalike server stop`",
)

MARIADB = Engine(
    name="mariadb",
    title="MariaDB",
    folder="mariadb",
    program="mariadbd",
    client="mariadb",
    variable="LOOKALIKE_MARIADBD",
    oldest=(11, 7),
    origin=Origin(
        suite="trixie",
        packages=("mariadb-server-core", "mariadb-client-core", "mariadb-plugin-spider"),
        programs=frozenset({"mariadb", "mariadb-check", "mariadb-upgrade"}),
        megabytes=200,
        image="mariadb:11.8",
        image_files=(
            *("usr/bin/mariadb-check", "usr/bin/mariadb-upgrade", "usr/share/mariadb"),
            *("usr/lib/*-linux-gnu*", "usr/lib64", "usr/lib/mysql/plugin"),
        ),
        formula="mariadb",
    ),
    own_options=(),
    server_options=(
        "--mhnsw-max-cache-size=256M",  # of the index of one table; by default 16 MB
        "--max-allowed-packet=64M",  # as MySQL's
    ),
    client_options=(),
    tls={
        "DISABLED": ("--skip-ssl",),
        "PREFERRED": ("--skip-ssl-verify-server-cert",),
        "REQUIRED": ("--ssl", "--skip-ssl-verify-server-cert"),
        "VERIFY_CA": ("--ssl-verify-server-cert",),
        "VERIFY_IDENTITY": ("--ssl-verify-server-cert",),
    },
    daemonizes=False,
    initialize=("--bootstrap", "--skip-grant-tables"),
    to_install="run `lookalike server install --engine mariadb`",
    to_start="lookalike server start --engine mariadb",
    to_stop="run `lookalike server stop --engine mariadb`",
    system_tables=(
        "mariadb_system_tables.sql",
        "mariadb_performance_tables.sql",
        "mariadb_system_tables_data.sql",
    ),
    upgrader="mariadb-upgrade",
    tools=("mariadb", "mariadb-check"),
)

ENGINES = {engine.name: engine for engine in (MYSQL, MARIADB)}


def engine_named(name: str) -> Engine:
    """Return the engine with a name. Raises InputError for others."""
    if name not in ENGINES:
        raise InputError(f"a private server of {name!r}: there is one of {' and '.join(ENGINES)}")
    return ENGINES[name]
