"""The processes of a round: started, killed at any moment, and never left behind."""

import multiprocessing
import os
import time
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from random import Random

from tests.torture.actor import Actor, Lost, Target
from tests.torture.foreign import Foreign, Idler
from tests.torture.interrupts import uninterrupted
from tests.torture.journal import Journal
from tests.torture.ours import Searcher, Trainer, Writer

ROLES: dict[str, type[Writer | Trainer | Searcher | Foreign]] = {
    "writer": Writer,
    "trainer": Trainer,
    "searcher": Searcher,
    "foreign": Foreign,
    "idler": Idler,
}
CREW = ("writer", "writer", "trainer", "searcher", "searcher", "foreign", "foreign", "idler")
OURS = ("writer", "trainer", "searcher")
RECONNECT = 0.1  # seconds

# Processes are forked from one that has imported all and has no threads: they start at once.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.torture.crew", "lookalike.collection", "pymysql"])


@dataclass
class Member:
    """A process and its role."""

    role: str
    process: ForkServerProcess


class Crew:
    """Processes that are started again when they are killed."""

    def __init__(self, target: Target, rng: Random) -> None:
        self.kills = 0
        self._target = target
        self._rng = rng
        self._number = 0
        self._members: list[Member] = []

    def start(self) -> None:
        """Start one of each role, and of some two."""
        for role in CREW:
            self._start(role)

    def kill_one(self) -> None:
        """Kill a process and start another one with its role."""
        member = self._members.pop(self._rng.randrange(len(self._members)))
        self._kill(member)
        self._start(member.role)

    def restart_ended(self) -> list[str]:
        """Start those again that have ended by themselves, and name them: none should."""
        ended = [m for m in self._members if m.process.exitcode is not None]
        for member in ended:
            self._members.remove(member)
            self._start(member.role)
        return [member.process.name for member in ended]

    def kill(self) -> None:
        """Kill all that there are."""
        for member in self._members:
            self._kill(member)
        self._members = []

    def finish(self, limit: float) -> list[str]:
        """Let those who use lookalike end what they are at; name who does not within `limit`.

        All others are killed first, so that nobody can be in their way.
        """
        for member in self._members:
            if member.role not in OURS:
                self._kill(member)
        self._target.stop_file.touch()
        deadline = time.monotonic() + limit
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))
        hanging = [m.process.name for m in self._members if m.process.is_alive()]
        self.kill()
        return hanging

    def _start(self, role: str) -> None:
        self._number += 1
        name = f"{role}{self._number}"
        arguments = (role, name, self._target, self._rng.randrange(2**32))
        process = _context.Process(target=run, args=arguments, name=name, daemon=True)
        with uninterrupted():
            process.start()
            self._members.append(Member(role, process))

    def _kill(self, member: Member) -> None:
        if member.process.is_alive():
            self.kills += 1
            member.process.kill()
        member.process.join()


def run(role: str, name: str, target: Target, seed: int) -> None:
    """Be one of the processes, until it is killed, told to stop, or its parent is gone."""
    journals = target.folder / "journals"
    with (journals / f"{name}.stderr").open("w") as told:
        os.dup2(told.fileno(), 2)
    journal = Journal(journals / f"{name}.jsonl")
    actor: Actor = ROLES[role](name, target, journal, Random(seed))
    parent = multiprocessing.parent_process()

    def goes_on() -> bool:
        is_wanted = parent is None or parent.is_alive()
        return is_wanted and not target.stop_file.exists()

    with closing(journal):
        while goes_on():
            try:
                actor.connect()
                while goes_on():
                    actor.act()
            except Lost:
                time.sleep(RECONNECT)
