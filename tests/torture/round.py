"""One round: a server, a collection, those who use it, kills, and the reckoning."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pymysql

from lookalike.core.types import METRICS, Metric
from tests.torture.actor import Target
from tests.torture.crew import Crew
from tests.torture.disk import SmallDisk, small_disk
from tests.torture.foreign import IDS_FROM
from tests.torture.inspection import Inspector
from tests.torture.interrupts import uninterrupted
from tests.torture.journal import DONE, Action, Journal, read_journals
from tests.torture.ours import OURS, Writer
from tests.torture.problems import Problem
from tests.torture.server import DATABASE, RoundServer, Templates
from tests.torture.settings import DISK_FULL, READ_ONLY, Configuration, draw
from tests.torture.snapshot import read_rows
from tests.torture.timeline import Timeline
from tests.torture.verify_calls import judge_checks, judge_refusals, refusals
from tests.torture.verify_rows import judge_rows
from tests.torture.verify_searches import Judged, Recall, judge_pages, judge_searches
from tests.torture.visible import RowsOfTable, RowsOfTimeline

DIMS = (32, 48, 64, 75, 100, 128)
PREFILLED = (300, 2500, 6500)
"""Rows to begin with: an index of one cell, and of many."""

WARM_UP = 1.0  # seconds
HANG = 75.0
"""Nobody may need as many seconds for one call, once all others are gone.

A lock is waited for 50 seconds at the most.
"""


@dataclass(frozen=True)
class Plan:
    """What a round is about, by its seed and number."""

    seed: int
    number: int
    configuration: Configuration
    dim: int
    metric: Metric
    prefilled: int
    rng: Random = field(compare=False, repr=False)

    def __str__(self) -> str:
        return (
            f"round {self.number}: {self.metric}, dim {self.dim}, {self.prefilled} rows, "
            f"{self.configuration}"
        )

    @property
    def repeat(self) -> str:
        """The command that repeats it."""
        return f"python -m tests.torture --seed {self.seed} --round {self.number} --keep"


@dataclass
class RoundResult:
    """What has come of a round."""

    plan: Plan
    seconds: float = 0.0
    kills: int = 0
    server_kills: int = 0
    configurations: list[Configuration] = field(default_factory=list)
    acknowledged: int = 0
    actions: int = 0
    searches: int = 0
    slowest: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    recall: Recall = field(default_factory=Recall)
    problems: list[Problem] = field(default_factory=list)


def plan_round(seed: int, number: int, *, can_mount: bool) -> Plan:
    """Draw a round: metrics and settings take turns, all else is random."""
    rng = Random(f"{seed} {number}")
    return Plan(
        seed,
        number,
        draw(rng, number + seed, can_mount=can_mount),
        rng.choice(DIMS),
        METRICS[number % len(METRICS)],
        rng.choice(PREFILLED),
        rng,
    )


def run_round(plan: Plan, templates: Templates, folder: Path, seconds: float) -> RoundResult:
    """Play a round in an empty folder; seconds: of the time between the start and the checks."""
    result = RoundResult(plan)
    started = time.monotonic()
    (folder / "journals").mkdir()
    with ExitStack() as stack:
        disk = None
        if DISK_FULL in plan.configuration:
            (folder / "disk").mkdir()
            with uninterrupted():
                disk = stack.enter_context(small_disk(folder / "disk"))
        with uninterrupted():
            server = RoundServer(templates, disk.folder if disk else folder, plan.configuration)
            stack.callback(server.kill)
        Round(plan, server, disk, folder, result).play(seconds)
    result.seconds = time.monotonic() - started
    return result


class Round:
    """A round while it is played."""

    def __init__(
        self,
        plan: Plan,
        server: RoundServer,
        disk: SmallDisk | None,
        folder: Path,
        result: RoundResult,
    ) -> None:
        self._plan = plan
        self._rng = plan.rng
        self._server = server
        self._disk = disk
        self._result = result
        self._folder = folder
        self._target = Target(
            server.socket, DATABASE, f"pics_{plan.dim}", plan.dim, plan.metric, folder
        )

    def play(self, seconds: float) -> None:
        """Fill, disturb, inspect and judge; what has come of it goes into the result."""
        self._make_tables_of_the_users_own()
        if self._prefill():
            self._disturb(seconds)
        self._settle()
        quiet = time.monotonic()
        self._inspect()
        self._judge(quiet)

    def _prefill(self) -> bool:
        """Make the collection; return whether there is one."""
        journal = Journal(self._folder / "journals" / "prefill.jsonl")
        writer = Writer("prefill", self._target, journal, self._rng)
        with closing(journal), closing(writer):
            writer.connect()
            if not writer.add(1):
                return False
            if not self._alter():
                self._tell("idle client in the way of ALTER TABLE", self._target.collection)
                writer.connect()
                self._alter()
            rows = writer.add(self._plan.prefilled)
            if rows:
                writer.set_attributes(rows[: len(rows) // 2])
        return True

    def _alter(self) -> bool:
        """Leave room for explicit ids; return whether nobody's lock was in the way."""
        with self._server.session() as cursor:
            try:
                cursor.execute(f"ALTER TABLE {self._target.collection} AUTO_INCREMENT = {IDS_FROM}")
            except pymysql.err.OperationalError:
                return False
        return True

    def _make_tables_of_the_users_own(self) -> None:
        with self._server.session() as cursor:
            for table in self._users_tables:
                cursor.execute(f"CREATE TABLE {table} (x INT PRIMARY KEY) ENGINE = InnoDB")
                cursor.execute(f"INSERT INTO {table} VALUES (1)")

    @property
    def _users_tables(self) -> list[str]:
        """Tables whose names are like those of an index."""
        return [f"{self._target.collection}_{what}" for what in ("codes_2024", "cells_9")]

    # What goes on.

    def _disturb(self, seconds: float) -> None:
        if self._disk is not None:
            self._disk.fill()
        crew = Crew(self._target, self._rng)
        try:
            crew.start()
            time.sleep(WARM_UP)
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                time.sleep(self._rng.uniform(0.1, 0.8))
                self._strike(crew)
                for name in crew.restart_ended():
                    self._tell("process ended by itself", name)
            self._server.take_changes()
            if self._rng.random() < 0.5:
                if self._disk is not None:
                    self._disk.empty()
                for name in crew.finish(HANG):
                    self._tell("call that does not end", name)
        finally:
            crew.kill()
            self._result.kills += crew.kills

    def _strike(self, crew: Crew) -> None:
        what = self._rng.random()
        if what < 0.5:
            crew.kill_one()
        elif what < 0.7:
            self._kill_server()
        elif what < 0.85 and READ_ONLY in self._server.configuration:
            self._server.refuse_changes()
            time.sleep(self._rng.uniform(0.1, 1.0))
            self._server.take_changes()

    def _kill_server(self) -> None:
        self._server.kill()
        self._result.server_kills += 1
        if self._disk is not None:
            self._disk.empty()  # to start again on a full disk is not asked of MySQL
        self._server.restart(self._plan.configuration.redrawn(self._rng))
        if self._disk is not None:
            self._disk.fill()

    # What is found then.

    def _settle(self) -> None:
        """Wait for the server to have rolled back what was cut short."""
        if self._disk is not None:
            self._disk.empty()
        if not self._server.is_alive or self._rng.random() < 0.3:
            self._kill_server()
        self._server.take_changes()
        if left := self._server.wait_for_rollback(HANG):
            self._tell("transaction left behind", f"{left}")

    def _inspect(self) -> None:
        journal = Journal(self._folder / "journals" / "inspector.jsonl")
        inspector = Inspector("inspector", self._target, journal, self._rng)
        with closing(journal), closing(inspector):
            inspector.inspect(trains=self._rng.random() < 0.5)

    def _judge(self, quiet: float) -> None:
        result = self._result
        actions = read_journals(self._folder / "journals")
        result.configurations = self._server.configurations
        result.actions = len(actions)
        result.acknowledged = sum(
            a.given["n"] for a in actions if a.kind == "add" and a.outcome == DONE
        )
        result.slowest = max((a.ended - a.began for a in self._undisturbed(actions)), default=0.0)
        result.refusals = refusals(actions)
        result.problems += judge_refusals(actions, self._server)
        result.problems += self._lost_tables()
        result.problems += self._told_on_standard_error()
        try:
            stored = read_rows(self._server, self._target.collection)
        except pymysql.err.ProgrammingError:  # the collection was refused; that was judged
            return
        timeline = Timeline(actions, self._plan.dim)
        result.problems += judge_rows(stored, timeline, actions)
        result.problems += judge_checks(actions, timeline)
        table = RowsOfTable(stored, timeline, quiet)
        metric = self._target.metric
        inspected = [a for a in actions if a.worker == "inspector"]
        self._count(judge_searches(table, inspected, metric))
        beside = [a for a in actions if a.worker != "inspector"]
        self._count(judge_searches(RowsOfTimeline(timeline), beside, metric))
        for action in inspected:
            if action.kind == "pages" and action.outcome == DONE:
                recall, problems = judge_pages(table, action, metric)
                result.recall.others += [] if recall is None else [recall]
                result.problems += problems

    def _undisturbed(self, actions: Sequence[Action]) -> Iterator[Action]:
        for action in actions:
            is_ours = action.worker.startswith(OURS) and action.outcome == DONE
            if is_ours and not self._server.was_down(action.began, action.ended):
                yield action

    def _count(self, judged: Judged) -> None:
        self._result.searches += judged.compared
        self._result.problems += judged.problems
        self._result.recall.plain += judged.recall.plain
        self._result.recall.others += judged.recall.others

    def _lost_tables(self) -> Iterator[Problem]:
        for table in self._users_tables:
            with suppress(pymysql.err.ProgrammingError), self._server.session() as cursor:
                cursor.execute(f"SELECT x FROM {table}")
                if cursor.fetchall() == ((1,),):
                    continue
            yield Problem("table of the user's own lost", table)

    def _told_on_standard_error(self) -> Iterator[Problem]:
        for path in sorted((self._folder / "journals").glob("*.stderr")):
            if told := path.read_text(errors="replace"):
                yield Problem("told on standard error", f"{path.stem}: {told}")

    def _tell(self, kind: str, detail: str) -> None:
        self._result.problems.append(Problem(kind, f"{detail}; {self._plan}"))
