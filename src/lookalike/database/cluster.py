"""A cluster of MySQL servers: who is the primary now, and which secondaries may answer.

A thread for each server asks it every second. Servers are only those that the URL lists.
"""

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace

from lookalike.core.errors import DatabaseError, UnsupportedServer
from lookalike.core.reports import ClusterMember
from lookalike.database.cluster_options import ClusterOptions
from lookalike.database.errors import ConnectionLost, Unavailable
from lookalike.database.link import Link
from lookalike.database.members import ONLINE, Answer, GTIDs, Roles, ask, has_all, roles_of
from lookalike.database.url import DatabaseURL

ASK_SECONDS = 1.0
"""Between two questions to a server."""

ELECTION_ASK_SECONDS = 0.25
"""The same while there is no primary, and after one without an answer."""

ANSWER_SECONDS = 2.0
"""How long a server may take to connect, and to answer such a question."""

LOST = 2
"""A server that does not answer so many questions in a row is lost."""

OPEN_SECONDS = 5.0
"""How long opening a connection for other statements may take."""

ELECTION_SECONDS = 30.0
"""How long connecting waits for a group that is choosing its primary."""

NEAR_SECONDS = 0.005
"""Servers whose round trip is at most so much longer than the shortest are as near."""

_ROUND_TRIPS = 5


@dataclass(eq=False)
class Member:
    """One server of the cluster; changed under the cluster's lock.

    answer: the latest, None while it is lost. error: why it did not answer the last question.
    fresh_at: up to when it has all that the cluster had committed. n_failures: questions in a row
    without an answer. may_search: whether it could answer when the last search asked; None before
    it first could.
    """

    url: DatabaseURL
    answer: Answer | None = None
    error: DatabaseError | None = None
    is_asked: bool = False
    fresh_at: float | None = None
    n_failures: int = 0
    may_search: bool | None = None
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=_ROUND_TRIPS))
    wake: threading.Event = field(default_factory=threading.Event)

    @property
    def round_trip(self) -> float:
        """The shortest of the latest, in seconds: others tell how busy this program is."""
        return min(self.round_trips, default=float("inf"))


class Cluster:
    """Watches the servers of a URL.

    url: with members. on_change: called when a server is lost, or another one is the primary.
    """

    def __init__(
        self, url: DatabaseURL, options: ClusterOptions, on_change: Callable[[], None]
    ) -> None:
        self.url = url
        self.options = options
        self._on_change = on_change
        for each in url.members:
            each.driver_arguments()  # raises InputError for options that cannot be used
        self._members = [Member(each) for each in url.members]
        self._reset()
        _CLUSTERS.add(self)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._roles = Roles(problem="it was not asked yet")
        self._marks: deque[tuple[float, GTIDs]] = deque()
        self._news: deque[str] = deque(maxlen=20)
        self._stop = threading.Event()
        self._is_watching = False
        self._last_primary: Member | None = None
        for member in self._members:
            member.answer = member.fresh_at = None
            member.is_asked = False
            member.wake = threading.Event()

    def after_fork(self) -> None:
        """Watch anew in a child; the parent's connections are the parent's."""
        is_closed = self._stop.is_set()
        self._reset()
        if is_closed:
            self._stop.set()

    def close(self) -> None:
        """Stop watching; closing twice is harmless."""
        self._stop.set()
        for member in self._members:
            member.wake.set()

    def wait(self, seconds: float = ELECTION_SECONDS) -> None:
        """Wait until there is a primary, while any server answers. Raises why there is none."""
        self._watch()
        with self._changed:
            self._changed.wait_for(self._is_settled, seconds)
        self.primary()

    def _is_settled(self) -> bool:
        """Whether there is a primary, or waiting does not help."""
        if not all(each.is_asked for each in self._members):
            # Without a group another one may take writes, too.
            return self._primary() is not None and self._roles.is_group
        answered = any(each.answer for each in self._members)
        return self._primary() is not None or self._roles.is_final or not answered

    def primary(self) -> DatabaseURL:
        """Return the server that takes writes.

        Raises Unavailable while the cluster has none, and ConnectionFailed if nothing answers.
        """
        self._watch()
        with self._changed:
            if (primary := self._primary()) is not None:
                return primary.url
            errors = [each.error for each in self._members if each.error is not None]
            for error in errors:  # rather one that does not go away
                if not isinstance(error, ConnectionLost):
                    raise type(error)(str(error), code=error.code)
            if len(errors) == len(self._members):
                raise ConnectionLost(" ".join(f"{error}" for error in errors))
            if self._roles.is_final:
                raise UnsupportedServer(f"{self.url} cannot be used: {self._roles.problem}")
            raise Unavailable(f"{self.url} has no primary at present: {self._roles.problem}")

    def _primary(self) -> Member | None:
        return next(filter(self._is_primary, self._members), None)

    def _is_primary(self, member: Member) -> bool:
        return member.answer is not None and member.answer.server_id == self._roles.primary

    def reader(
        self, tried: Collection[DatabaseURL], busy: Callable[[DatabaseURL], int]
    ) -> DatabaseURL | None:
        """Return a secondary for the next search; None if the primary has to answer it.

        tried: those that did not. busy: how many searches of this program a server has now. Of the
        nearest that are not behind, the least busy one answers, in turn.
        """
        if self.options.reads == "primary":
            return None
        self._watch()
        with self._changed:
            usable = [m for m in self._members if self._may_search(m) and m.url not in tried]
            if not usable:
                return None
            nearest = min(member.round_trip for member in usable)
            near = [m for m in usable if m.round_trip <= nearest + NEAR_SECONDS]
            chosen = min(near, key=lambda member: busy(member.url))
            # In turn: the next of the equally busy ones comes first.
            self._members.remove(chosen)
            self._members.append(chosen)
            return chosen.url

    def _may_search(self, member: Member) -> bool:
        """Whether a server may answer searches; a change is news."""
        reason = self._why_not(member)
        if member.may_search and reason and not self._is_primary(member):
            self._news.append(f"Searches pass over {member.url.address}: {reason}.")
        elif member.may_search is False and not reason:
            self._news.append(f"Searches go to {member.url.address} again.")
        if member.may_search is not None or not reason:
            member.may_search = not reason
        return not reason

    def _why_not(self, member: Member) -> str:
        """Return why a server must not answer searches; "" if it may."""
        if not member.is_asked:
            return "it was not asked yet"
        if member.error is not None or member.answer is None:
            return f"it does not answer: {member.error}"
        if self._is_primary(member):
            return "it is the primary"
        answer = member.answer
        if answer.group and (answer.state != ONLINE or not answer.has_majority):
            return f"its state is {answer.state}, and it sees {answer.n_seen} of its group"
        if answer.server_id not in self._roles.readers:
            return "the others do not see it online" if answer.group else self._roles.problem
        lag = self._lag(member)
        if lag is None or lag > self.options.max_lag:
            return f"it is more than {self.options.max_lag:g} seconds behind"
        return ""

    def _lag(self, member: Member) -> float | None:
        return None if member.fresh_at is None else time.monotonic() - member.fresh_at

    def suspect(self, url: DatabaseURL | None = None, error: DatabaseError | None = None) -> None:
        """Ask all servers now; the one that failed answers no search until it has told."""
        with self._changed:
            for member in self._members:
                if member.url == url:
                    member.error = error
                member.wake.set()

    def is_current(self, link: Link) -> bool:
        """Whether a connection for writes leads to the primary. Nobody else may be asked."""
        with self._changed:
            primary = self._primary()
            return primary is not None and primary.url == link.url

    def is_lost_primary(self, link: Link) -> bool:
        """Whether a connection for writes leads nowhere, or to what is no primary any more."""
        with self._changed:
            primary = self._primary()
            return self.is_lost(link) if primary is None else primary.url != link.url

    def is_lost(self, link: Link) -> bool:
        """Whether a connection's server has not answered lately."""
        return any(each.n_failures >= LOST for each in self._members if each.url == link.url)

    def news(self) -> list[str]:
        """Return what has changed since the last call, a line each."""
        found = []
        with suppress(IndexError):
            while True:
                found.append(self._news.popleft())
        return found

    def status(self) -> list[ClusterMember]:
        """Return what is known of each server, in the URL's order."""
        self._watch()
        with self._changed:
            by_url = {member.url: member for member in self._members}
            return [self._status(by_url[url]) for url in self.url.members]

    def _status(self, member: Member) -> ClusterMember:
        is_primary = self._is_primary(member)
        return ClusterMember(
            address=member.url.address,
            role="primary" if is_primary else None if member.error else "secondary",
            lag=0.0 if is_primary else self._lag(member),
            round_trip=member.round_trip if member.answer else None,
            problem=None if is_primary else self._why_not(member) or None,
        )

    def _watch(self) -> None:
        with self._changed:
            if self._is_watching or self._stop.is_set():
                return
            self._is_watching = True
            for member in self._members:
                threading.Thread(
                    target=self._ask_always,
                    args=(member, self._stop),
                    name=f"lookalike-cluster-{member.url.address}",
                    daemon=True,
                ).start()

    def _ask_always(self, member: Member, stop: threading.Event) -> None:
        link: Link | None = None
        url = replace(member.url, database="")  # which a secondary may not have got yet
        while not stop.is_set():
            member.wake.clear()
            try:
                if link is None:
                    link = Link(url, timeout=ANSWER_SECONDS)
                answer = ask(link)
                marks = self._marks_now()
                has = has_all(link, [gtids for _, gtids in marks])
                fresh = (at for (at, _), is_there in zip(marks, has, strict=True) if is_there)
                self._learn(member, answer, max(fresh, default=None))
            except DatabaseError as error:
                if link is not None:
                    link.close()
                link = None
                self._miss(member, error)
            is_settled = member.error is None and self._has_primary()
            member.wake.wait(ASK_SECONDS if is_settled else ELECTION_ASK_SECONDS)
        if link is not None:
            link.close()

    def _has_primary(self) -> bool:
        with self._changed:
            return self._primary() is not None

    def _marks_now(self) -> list[tuple[float, GTIDs]]:
        with self._changed:
            return list(self._marks)

    def _learn(self, member: Member, answer: Answer, fresh_at: float | None) -> None:
        with self._changed:
            member.answer, member.error = answer, None
            member.is_asked, member.n_failures = True, 0
            member.round_trips.append(answer.round_trip)
            if fresh_at is not None:
                member.fresh_at = max(fresh_at, member.fresh_at or fresh_at)
            has_changed = self._decide()
        if has_changed:
            self._on_change()

    def _miss(self, member: Member, error: DatabaseError) -> None:
        with self._changed:
            member.error = error
            member.fresh_at = None
            member.is_asked = True
            member.n_failures += 1
            if member.n_failures >= LOST:  # what it told before counts until then
                member.answer = None
            elif member.answer is not None:
                member.answer = replace(member.answer, is_latest=False)
            self._decide()
        self._on_change()

    def _decide(self) -> bool:
        """Find out who is what now; return whether the primary is another one."""
        oldest = time.monotonic() - 2 * (ASK_SECONDS + ANSWER_SECONDS)
        answers = [each.answer for each in self._members if each.answer is not None]
        roles = roles_of(each for each in answers if each.asked_at > oldest)
        if roles.known is None and not roles.is_final:
            # While their views differ, nobody is known to be fresher: that ends in max_lag.
            roles = replace(roles, readers=self._roles.readers)
        self._roles = roles
        self._mark(roles)
        primary = self._primary()
        has_changed = primary is not None and primary is not self._last_primary
        if has_changed and primary is not None:
            if self._last_primary is not None:
                self._news.append(f"The primary is {primary.url.address} now.")
            self._last_primary = primary
        self._changed.notify_all()
        return has_changed

    def _mark(self, roles: Roles) -> None:
        """Remember what the cluster has committed, to ask the secondaries for it."""
        if roles.known is None or (self._marks and self._marks[-1][0] >= roles.since):
            return
        is_first = not self._marks
        if self._marks and self._marks[-1][1] == roles.known:
            self._marks.pop()
        self._marks.append((roles.since, roles.known))
        while self._marks[0][0] < roles.since - self.options.max_lag:
            self._marks.popleft()
        if is_first:
            for member in self._members:
                member.wake.set()


_CLUSTERS: "weakref.WeakSet[Cluster]" = weakref.WeakSet()


def _after_fork() -> None:
    for cluster in list(_CLUSTERS):
        cluster.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
