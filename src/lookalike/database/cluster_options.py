"""How a cluster is used: options of its URL, and arguments of `connect`."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, cast, get_args

from lookalike.core.errors import InputError
from lookalike.database.url import DatabaseURL

Reads = Literal["nearest", "primary"]

MAX_LAG_SECONDS = 5.0
LEAST_LAG_SECONDS = 3.0
"""That a secondary is not behind is known a second or two late."""


@dataclass(frozen=True)
class ClusterOptions:
    """How a cluster is used.

    Attributes:
        reads: "nearest" for searches on secondaries, "primary" for none.
        read_your_writes: Whether a search sees what this program has committed before.
        max_lag: By how many seconds a secondary that answers may be behind.
    """

    reads: Reads = "nearest"
    read_your_writes: bool = False
    max_lag: float = MAX_LAG_SECONDS


def options_of(
    url: DatabaseURL, reads: str | None, read_your_writes: bool | None
) -> ClusterOptions | None:
    """Return how a URL's cluster is used; None for one server. Arguments take precedence."""
    if not url.members:
        if reads is None and read_your_writes is None:
            return None
        raise InputError(
            "reads and read_your_writes are for a cluster, and the database URL names one server: "
            "list them all, as in mysql://user:password@a,b,c/database"
        )
    if reads is None:
        reads = url.options.get("reads", "nearest")
    if reads not in get_args(Reads):
        raise InputError(f"reads is {str(reads)[:40]!r}; give nearest or primary")
    if read_your_writes is None:
        text = url.options.get("read_your_writes", "false")
        if text not in ("true", "false"):
            raise InputError(f"read_your_writes is {text[:40]!r}; give true or false")
        read_your_writes = text == "true"
    lag = url.options.get("max_lag", f"{MAX_LAG_SECONDS:g}")
    with suppress(ValueError):
        if LEAST_LAG_SECONDS <= float(lag) < 1e6:
            return ClusterOptions(cast(Reads, reads), read_your_writes, float(lag))
    raise InputError(f"max_lag is {lag[:40]!r}; give {LEAST_LAG_SECONDS:g} seconds or more")
