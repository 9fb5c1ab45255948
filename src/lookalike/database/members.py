"""What the servers of a cluster tell of themselves, and who of them is what.

A server's own word is not enough: one that was cut off, or stood still, does not know that the
others have gone on. So a group's primary is that on which more than half of its members agree, each
asked itself, and a member may answer if all of them see it online.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lookalike.core.errors import UnsupportedServer
from lookalike.database.errors import Privilege, UnknownVariable
from lookalike.database.link import Link
from lookalike.dialects import Statement

ONLINE, RECOVERING, UNREACHABLE, PRIMARY = "ONLINE", "RECOVERING", "UNREACHABLE", "PRIMARY"

_SETS = (
    "SELECT @@GLOBAL.server_uuid, @@GLOBAL.read_only, @@GLOBAL.gtid_mode, @@GLOBAL.log_bin, "
    "@@GLOBAL.gtid_executed"
)
_GROUP = (
    "SELECT member_id, member_state, member_role, (SELECT received_transaction_set "
    "FROM performance_schema.replication_connection_status "
    "WHERE channel_name = 'group_replication_applier') "
    "FROM performance_schema.replication_group_members WHERE member_id <> ''"
)

WORD_SECONDS = 1.5
"""The primary's word is preferred to a majority's that is not so much newer."""

GTIDs = str
"""A set of transactions as MySQL writes it; two with a comma between them are their union."""


@dataclass(frozen=True)
class Answer:
    """What a server told.

    asked_at: before it was asked, by the monotonic clock. round_trip: in seconds.
    executed: the transactions that a search there sees. received: those it got from its group.
    group: the state and role of each member of its group, by id, as it sees them; empty without.
    is_latest: whether it has answered the last question.
    """

    asked_at: float
    round_trip: float
    server_id: str
    is_read_only: bool
    executed: GTIDs
    received: GTIDs
    group: Mapping[str, tuple[str, str]]
    is_latest: bool = True

    @property
    def state(self) -> str:
        """The server's own state in its group."""
        return self.group[self.server_id][0] if self.server_id in self.group else "OFFLINE"

    @property
    def has_majority(self) -> bool:
        """Whether it sees more than half of its group."""
        return 2 * self.n_seen > len(self.group)

    @property
    def n_seen(self) -> int:
        """The number of members that it can reach, with itself."""
        return sum(state != UNREACHABLE for state, _ in self.group.values())


@dataclass(frozen=True)
class Roles:
    """Who of the servers is what, by id.

    primary: the one that takes writes. readers: those that may answer if they are not behind.
    known: transactions that a server may lack if it is behind; None if that cannot be told. since:
    when all of them were known. problem: why there is no primary. is_group: whether they are a
    group, whose members are sure of it. is_final: whether waiting does not help.
    """

    primary: str | None = None
    readers: frozenset[str] = frozenset()
    known: GTIDs | None = None
    since: float = 0.0
    problem: str = ""
    is_group: bool = False
    is_final: bool = False


def ask(link: Link) -> Answer:
    """Ask a server what it is. Raises Privilege, with a remedy, if it must not tell."""
    asked_at = time.monotonic()
    try:
        with link.running(Statement(_SETS)) as cursor:
            server_id, is_read_only, gtid_mode, has_log, executed = cursor.fetchone()
        round_trip = time.monotonic() - asked_at
        with link.running(Statement(_GROUP)) as cursor:
            rows = cursor.fetchall()
    except UnknownVariable as error:
        raise UnsupportedServer(
            f"{link.url} is not a MySQL, and several servers in a URL are a cluster of MySQL: "
            "give one address, such as that of a proxy",
            code=error.code,
        ) from error
    except Privilege as error:
        raise Privilege(
            f"{error}: a list of servers needs GRANT SELECT ON performance_schema.* TO the user",
            code=error.code,
        ) from error
    if gtid_mode != "ON" or not has_log:
        raise UnsupportedServer(
            f"{link.url} has gtid_mode = {gtid_mode} and log_bin = {has_log}, "
            "so nobody can tell who is behind: each server of a cluster needs both"
        )
    return Answer(
        asked_at,
        round_trip,
        server_id,
        bool(is_read_only),
        executed,
        (rows[0][3] or "") if rows else "",
        {row[0]: (row[1], row[2]) for row in rows},
    )


def has_all(link: Link, marks: Sequence[GTIDs]) -> list[bool]:
    """Return for each set of transactions whether a server has executed all of it."""
    if not marks:
        return []
    asked = ", ".join(["GTID_SUBSET(%s, @@GLOBAL.gtid_executed)"] * len(marks))
    with link.running(Statement(f"SELECT {asked}", tuple(marks))) as cursor:
        return [bool(each) for each in cursor.fetchone()]


def roles_of(answers: Iterable[Answer]) -> Roles:
    """Return who is what, from the latest answers of the servers that can be reached."""
    answers = list(answers)
    if len({each.server_id for each in answers}) < len(answers):
        return Roles(problem="two addresses in the URL are those of one server", is_final=True)
    if any(each.group for each in answers):
        return _in_group(answers)
    writable = [each for each in answers if not each.is_read_only]
    if len(writable) > 1:
        return Roles(
            problem="several servers take writes: SET GLOBAL read_only = ON on the replicas",
            is_final=True,
        )
    if not writable:
        return Roles(problem="none of the servers that answer takes writes")
    (primary,) = writable
    readers = frozenset(each.server_id for each in answers) - {primary.server_id}
    return Roles(primary.server_id, readers, primary.executed, primary.asked_at)


def _in_group(answers: Sequence[Answer]) -> Roles:
    """Return the roles in a group, by the word of more than half of its members."""
    voters = [each for each in answers if each.has_majority and each.state in (ONLINE, RECOVERING)]
    if any(_is_multi_primary(each) for each in voters):
        return Roles(
            problem="the group is in multi-primary mode, in which foreign keys with ON DELETE "
            "CASCADE are not safe: SELECT group_replication_switch_to_single_primary_mode()",
            is_final=True,
        )
    votes = Counter(_primary_of(each) for each in voters)
    for primary, count in votes.most_common(1):
        agreed = [each for each in voters if _primary_of(each) == primary]
        if 2 * count > max(len(each.group) for each in agreed):
            return _agreed(primary, agreed)
    return Roles(problem="no majority of its members can be reached")


def _agreed(primary: str | None, agreed: Sequence[Answer]) -> Roles:
    views = [each.group for each in agreed]
    online = frozenset.intersection(
        *(frozenset(id for id, (state, _) in view.items() if state == ONLINE) for view in views)
    )
    readers = online & {each.server_id for each in agreed} - {primary}
    found = primary if primary in online & {each.server_id for each in agreed} else None
    known, since = _known(found, agreed)
    return Roles(found, readers, known, since, "" if found else _CHOOSING, is_group=True)


def _known(primary: str | None, agreed: Sequence[Answer]) -> tuple[GTIDs | None, float]:
    """Return what was committed, and when: by the primary's word, or else by that of a majority.

    Whatever was acknowledged has reached a majority, and any two have a member in common.
    """
    spoken = sorted((each for each in agreed if each.is_latest), key=lambda each: -each.asked_at)
    majority = spoken[: max(len(each.group) for each in agreed) // 2 + 1]
    has_majority = 2 * len(majority) > max(len(each.group) for each in agreed)
    since = majority[-1].asked_at if has_majority else 0.0
    for each in spoken:
        if each.server_id == primary and each.asked_at >= since - WORD_SECONDS:
            return each.executed, each.asked_at
    if not has_majority:
        return None, 0.0
    return ",".join(g for each in majority for g in (each.executed, each.received) if g), since


_CHOOSING = "the group is choosing one, or it is not in the URL's list"


def _primary_of(answer: Answer) -> str | None:
    """Return whom a member takes for the primary; None while the group is choosing one."""
    found = [id for id, (_, role) in answer.group.items() if role == PRIMARY]
    return found[0] if len(found) == 1 else None


def _is_multi_primary(answer: Answer) -> bool:
    return sum(role == PRIMARY for _, role in answer.group.values()) > 1
