"""The MySQL of a round: killed, and started again in another configuration."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymysql

from tests.mortal_server import MortalServer, make_data
from tests.torture.interrupts import uninterrupted
from tests.torture.settings import Configuration, Setting

DATABASE = "torture"
QUICK = ("--innodb-flush-method=nosync",)
"""What is written survives a killed process: only where the machine stops would it be lost."""

_PLAIN = (
    "SET SESSION sql_mode = '', SESSION sql_select_limit = 18446744073709551615, "
    "SESSION autocommit = 1, SESSION wait_timeout = 600, SESSION lock_wait_timeout = 5, "
    "SESSION transaction_isolation = 'REPEATABLE-READ'"
)


class Templates:
    """Empty data folders, made once for each set of options that they keep."""

    def __init__(self, mysqld: Path, folder: Path) -> None:
        self.mysqld = mysqld
        self._folder = folder

    def of(self, settings: Sequence[Setting]) -> Path:
        """Return the data folder to copy for these settings."""
        options = [option for setting in settings for option in setting.options]
        template = self._folder / "-".join(["data", *(setting.group for setting in settings)])
        if not template.exists():
            make_data(self.mysqld, template, *options)
        return template


@dataclass
class Life:
    """From a start of mysqld to its end: when it was ready and when it was killed."""

    configuration: Configuration
    ready: float
    killed: float = float("inf")
    read_only: list[list[float]] = field(default_factory=list)


class RoundServer(MortalServer):
    """A MySQL whose every start and end is known."""

    def __init__(self, templates: Templates, folder: Path, first: Configuration) -> None:
        self.configuration = first
        self.lives: list[Life] = []
        data = templates.of(first.for_ever)
        super().__init__(templates.mysqld, folder, *QUICK, *first.options, data=data)
        with self.session(None) as cursor:
            cursor.execute(f"CREATE DATABASE {DATABASE}")

    def start(self) -> None:
        with uninterrupted():
            super().start()
        with self.session(None) as cursor:
            for variable in self.configuration.variables:
                cursor.execute(f"SET GLOBAL {variable}")
        self.lives.append(Life(self.configuration, time.monotonic()))

    def kill(self) -> None:
        if self.is_alive:
            self.lives[-1].killed = time.monotonic()
        super().kill()

    def restart(self, configuration: Configuration) -> None:
        """Start it after it was killed, in another configuration."""
        self.configuration = configuration
        self._options = (*QUICK, *configuration.options)
        self.start()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def configurations(self) -> list[Configuration]:
        """All in which it has run."""
        return list(dict.fromkeys(life.configuration for life in self.lives))

    def has_been(self, setting: str) -> bool:
        """Whether it has ever run with a setting."""
        return any(setting in configuration for configuration in self.configurations)

    def was_down(self, began: float, ended: float, slack: float = 0.5) -> bool:
        """Whether it was being killed, or was not there, at some moment of an action."""
        ups = [(life.ready, life.killed) for life in self.lives]
        return not any(ready <= began and ended <= killed - slack for ready, killed in ups)

    def was_read_only(self, began: float, ended: float) -> bool:
        """Whether it refused changes at some moment of an action."""
        phases = [phase for life in self.lives for phase in life.read_only]
        return any(first <= ended and began <= last for first, last in phases)

    def refuse_changes(self) -> None:
        """Refuse all changes from now on; somebody's lock may be in the way of it."""
        self.lives[-1].read_only.append([time.monotonic(), float("inf")])
        with suppress(pymysql.err.OperationalError), self.session(None) as cursor:
            cursor.execute("SET GLOBAL super_read_only = ON")

    def take_changes(self) -> None:
        """Take changes again."""
        phases = self.lives[-1].read_only
        while phases and phases[-1][1] == float("inf"):
            with suppress(pymysql.err.OperationalError), self.session(None) as cursor:
                cursor.execute("SET GLOBAL super_read_only = OFF")
                cursor.execute("SET GLOBAL read_only = OFF")
                phases[-1][1] = time.monotonic()

    @contextmanager
    def session(self, database: str | None = DATABASE) -> Iterator[Any]:
        """A cursor of a plain session, whatever the server's configuration is."""
        driver = pymysql.connect(
            unix_socket=str(self.socket), user="root", database=database, charset="utf8mb4"
        )
        with closing(driver), driver.cursor() as cursor:
            cursor.execute(_PLAIN)
            yield cursor

    def wait_for_rollback(self, limit: float) -> int:
        """Wait until nobody's transaction is open; return how many still are."""
        deadline = time.monotonic() + limit
        while True:
            with self.session() as cursor:
                cursor.execute("SELECT COUNT(*) FROM information_schema.innodb_trx")
                open_ones = int(cursor.fetchone()[0])
            if not open_ones or time.monotonic() > deadline:
                return open_ones
            time.sleep(0.05)
