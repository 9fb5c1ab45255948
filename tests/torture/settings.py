"""The server configurations of a torture run: settings that are drawn at random and combined."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Setting:
    """Options of mysqld under one name.

    group: of one group a configuration has one setting at the most. variable: set by SET GLOBAL
    after each start, where mysqld has no option for it. for_ever: the data folder is made with
    these options and never runs without them.
    """

    name: str
    group: str
    options: tuple[str, ...] = ()
    variable: str | None = None
    for_ever: bool = False


READ_ONLY = "read-only phases"
SHORT_WAITS = "short lock waits"
DISK_FULL = "disk that fills up"
_ODD_MODES = (
    "PIPES_AS_CONCAT,PAD_CHAR_TO_FULL_LENGTH,NO_AUTO_VALUE_ON_ZERO,IGNORE_SPACE,REAL_AS_FLOAT,"
    "HIGH_NOT_PRECEDENCE,NO_UNSIGNED_SUBTRACTION,ONLY_FULL_GROUP_BY,STRICT_ALL_TABLES"
)

SETTINGS = (
    Setting("READ COMMITTED", "isolation", ("--transaction-isolation=READ-COMMITTED",)),
    Setting(READ_ONLY, "read only"),
    Setting("autocommit 0", "autocommit", ("--autocommit=0",)),
    Setting(DISK_FULL, "disk", for_ever=True),
    Setting("ANSI", "sql_mode", ("--sql-mode=ANSI",)),
    Setting("READ UNCOMMITTED", "isolation", ("--transaction-isolation=READ-UNCOMMITTED",)),
    Setting("sql_select_limit 50", "limit", variable="sql_select_limit = 50"),
    Setting("lower_case_table_names 1", "names", ("--lower-case-table-names=1",), for_ever=True),
    Setting("no backslash escapes", "sql_mode", ("--sql-mode=ANSI,NO_BACKSLASH_ESCAPES",)),
    Setting("max_allowed_packet 1M", "packet", ("--max-allowed-packet=1M",)),
    Setting(
        SHORT_WAITS,
        "waits",
        (
            "--lock-wait-timeout=2",
            "--innodb-lock-wait-timeout=1",
            "--innodb-rollback-on-timeout=ON",
        ),
    ),
    Setting("SERIALIZABLE", "isolation", ("--transaction-isolation=SERIALIZABLE",)),
    Setting(
        "latin1",
        "charset",
        ("--character-set-server=latin1", "--collation-server=latin1_german1_ci"),
        for_ever=True,
    ),
    Setting(
        "auto_increment 5 from 3",
        "increment",
        ("--auto-increment-increment=5", "--auto-increment-offset=3"),
    ),
    Setting("odd sql_mode", "sql_mode", (f"--sql-mode={_ODD_MODES}",)),
    Setting("default engine MyISAM", "engine", ("--default-storage-engine=MyISAM",)),
    Setting(
        "primary keys required",
        "keys",
        ("--sql-require-primary-key=ON", "--sql-generate-invisible-primary-key=ON"),
    ),
    Setting("short wait_timeout", "timeouts", ("--wait-timeout=1", "--interactive-timeout=1")),
    Setting("empty sql_mode", "sql_mode", ("--sql-mode=",)),
    Setting(
        "odd session",
        "session",
        (
            "--default-time-zone=-11:00",
            "--group-concat-max-len=4",
            "--max-sort-length=4",
            "--div-precision-increment=0",
        ),
    ),
)
MOST = 3  # settings together


@dataclass(frozen=True)
class Configuration:
    """Settings that hold together."""

    settings: tuple[Setting, ...]

    def __contains__(self, name: str) -> bool:
        return any(setting.name == name for setting in self.settings)

    def __str__(self) -> str:
        return ", ".join(setting.name for setting in self.settings) or "defaults"

    @property
    def options(self) -> tuple[str, ...]:
        """The options of mysqld."""
        return tuple(option for setting in self.settings for option in setting.options)

    @property
    def variables(self) -> tuple[str, ...]:
        """What SET GLOBAL sets after each start."""
        return tuple(setting.variable for setting in self.settings if setting.variable)

    @property
    def for_ever(self) -> tuple[Setting, ...]:
        """The settings that a data folder keeps."""
        return tuple(setting for setting in self.settings if setting.for_ever)

    def redrawn(self, rng: Random) -> "Configuration":
        """Draw the next configuration of the same data folder."""
        kept = self.for_ever
        settings = [s for s in SETTINGS if not s.for_ever]
        return Configuration(_add(kept, rng.sample(settings, rng.randint(0, MOST))))


def draw(rng: Random, number: int, *, can_mount: bool) -> Configuration:
    """Draw the configuration of a round; one of its settings has its turn by the number."""
    usable = [s for s in SETTINGS if can_mount or s.name != DISK_FULL]
    first = usable[number % len(usable)]
    others = [s for s in usable if s.name != DISK_FULL]
    return Configuration(_add((first,), rng.sample(others, rng.randint(0, MOST - 1))))


def _add(settings: tuple[Setting, ...], others: list[Setting]) -> tuple[Setting, ...]:
    """Add those whose group there is not yet."""
    for other in others:
        if other.group not in {setting.group for setting in settings}:
            settings = (*settings, other)
    return settings
