"""What each process did: a line before each action and one after it, which a kill cannot undo."""

import json
import math
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DONE = "done"
UNDONE = "undone"
"""It has surely not happened: rolled back before COMMIT was sent."""
FAILED = "failed"
"""An error came back; it may have happened, as a whole."""
CUT_SHORT = "cut short"
"""The process was killed; it may have happened, as a whole."""


@dataclass
class Action:
    """Something that a process did, or was doing when it was killed; times are monotonic."""

    worker: str
    kind: str
    given: dict[str, Any]
    began: float
    ended: float = math.inf
    outcome: str = CUT_SHORT
    result: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = json.dumps(self.given)
        return f"{self.worker} {self.kind} {given[:200]} began {self.began:.3f} {self.outcome}"


class Journal:
    """Appends a process's actions, one after the other, to a file of its own."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def begin(self, kind: str, given: dict[str, Any]) -> None:
        self._write({"at": time.monotonic(), "kind": kind, "given": given})

    def end(self, outcome: str, result: dict[str, Any]) -> None:
        self._write({"at": time.monotonic(), "outcome": outcome, "result": result})

    def close(self) -> None:
        os.close(self._file)

    def _write(self, line: dict[str, Any]) -> None:
        # One call, so that a line is there or not.
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_journals(folder: Path) -> list[Action]:
    """Return all actions of a folder's journals, by the time at which they began."""
    actions = [action for path in sorted(folder.glob("*.jsonl")) for action in _read(path)]
    return sorted(actions, key=lambda action: action.began)


def _read(path: Path) -> list[Action]:
    actions: list[Action] = []
    for text in path.read_text().splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # cut short by a full disk
            continue
        if "kind" in line:
            actions.append(Action(path.stem, line["kind"], line["given"], line["at"]))
        else:
            last = actions[-1]
            last.ended, last.outcome, last.result = line["at"], line["outcome"], line["result"]
    return actions
