"""Judges what was refused, and what checks of the index have found."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.torture.journal import DONE, FAILED, Action
from tests.torture.ours import OURS, TRACEBACK
from tests.torture.problems import Problem
from tests.torture.server import RoundServer
from tests.torture.settings import DISK_FULL, Configuration
from tests.torture.timeline import Timeline
from tests.torture.visible import ADDED, LEFT

_LOCKS = {1205, 1213, 3572}
_READ_ONLY = {1290, 1836}
_FULL = {3, 28, 1021, 1026, 1030, 1114, 3675}


def judge_refusals(
    actions: Sequence[Action], server: RoundServer, configuration: Configuration
) -> Iterator[Problem]:
    """Yield every error that nobody should have seen."""
    for action in actions:
        if action.kind == "mistake":
            yield Problem("mistake of the torture run", f"{action.worker} {action.result}")
        if action.outcome == FAILED and action.worker.startswith(OURS):
            yield from _judge_refusal(action, server, configuration)


def _judge_refusal(
    action: Action, server: RoundServer, configuration: Configuration
) -> Iterator[Problem]:
    error, says = action.result["error"], action.result["says"]
    if error == TRACEBACK:
        *_, frame, _, last = [line for line in says.splitlines() if "^" not in line]
        yield Problem(f"traceback, {last[:60]}", f"{frame.strip()}; {action}; {configuration}")
        return
    told = f"{says}; in {action.result['in']}; {action}; {configuration}"
    if "\n" in says:
        yield Problem("message of several lines", told)
    if not _is_fair(action, server, configuration):
        yield Problem(f"refused: {error} {action.result['code']} {action.kind}", told)


def _is_fair(action: Action, server: RoundServer, configuration: Configuration) -> bool:
    error, code = action.result["error"], action.result["code"]
    window = action.began, action.ended
    if error == "ConnectionFailed":
        return server.was_down(*window)
    if code in _LOCKS:
        return action.kind != "search"
    if code in _READ_ONLY:
        return action.kind != "search" and server.was_read_only(*window)
    if code in _FULL:
        return DISK_FULL in configuration
    if error == "InputError":  # what others have deleted
        says = action.result["says"]
        return (action.kind == "delete" and "no image with id" in says) or (
            action.kind == "attributes" and "no row of" in says
        )
    return False


def refusals(actions: Sequence[Action]) -> Counter[str]:
    """Count the errors that users of lookalike have met, by what they were about."""
    failed = [a for a in actions if a.outcome == FAILED and a.worker.startswith(OURS)]
    return Counter(_about(action) for action in failed if action.kind != "connect")


def _about(action: Action) -> str:
    error, code = action.result["error"], action.result.get("code")
    for codes, about in ((_LOCKS, "locks"), (_READ_ONLY, "read-only"), (_FULL, "disk full")):
        if code in codes:
            return about
    words = {"ConnectionFailed": "lost connections", "InputError": "rows that are gone"}
    return words.get(error, "others")


def judge_checks(actions: Sequence[Action], timeline: Timeline) -> Iterator[Problem]:
    """Yield what `index --check` names that the docs do not allow it to name."""
    changed = {timeline.ids.get(row, -1) for row in timeline.updates}
    others = [a for a in actions if a.kind in ("update", "replace")]
    changed |= {row_id for a in others for row_id in a.given["ids"]}
    explicit = {timeline.ids[row] for row in timeline.ids if timeline.is_explicit[row]}
    for action in actions:
        if action.kind != "check" or action.outcome != DONE:
            continue
        step = action.given["step"]
        missing, stale = set(action.result["missing"]), set(action.result["stale"])
        if step in (LEFT, ADDED):
            missing, stale = missing - changed, stale - changed
        if step == LEFT:
            # Codes of rows that others have deleted drop out of answers until the next `add`.
            missing, stale = missing - explicit, set()
        for kind, ids in (("missing from", missing), ("stale in", stale)):
            if ids:
                some = sorted(ids)[:10]
                yield Problem(f"{kind} the index ({step})", f"{len(ids)} ids: {some}")
