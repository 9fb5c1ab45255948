"""Judges what was refused, and what checks of the index have found."""

from collections import Counter
from collections.abc import Iterator, Sequence

from tests.torture.journal import DONE, FAILED, Action
from tests.torture.ours import OURS, TRACEBACK
from tests.torture.problems import Problem
from tests.torture.server import RoundServer
from tests.torture.settings import DISK_FULL, SHORT_WAITS
from tests.torture.timeline import Timeline
from tests.torture.visible import ADDED, LEFT

_LOCKS = {1205, 1213, 3572}
_READ_ONLY = {1290, 1836}
_FULL = {3, 28, 1021, 1026, 1030, 1114, 3675}


def judge_refusals(actions: Sequence[Action], server: RoundServer) -> Iterator[Problem]:
    """Yield every error that nobody should have seen."""
    connected: dict[str, float] = {}
    for action in actions:
        if action.kind == "mistake":
            yield Problem("mistake of the torture run", f"{action.worker} {action.result}")
        if action.kind == "connect":
            connected[action.worker] = action.began
        if action.outcome == FAILED and action.worker.startswith(OURS):
            since = connected.get(action.worker, action.began)
            yield from _judge_refusal(action, server, since)


def _judge_refusal(action: Action, server: RoundServer, connected: float) -> Iterator[Problem]:
    error, says = action.result["error"], action.result["says"]
    where = f"{action}; {server.configurations[0]}"
    if error == TRACEBACK:
        *_, frame, _, last = [line for line in says.splitlines() if "^" not in line]
        yield Problem(f"traceback, {last[:60]}", f"{frame.strip()}; {where}")
        return
    told = f"{says}; in {action.result['in']}; {where}"
    if "\n" in says:
        yield Problem("message of several lines", told)
    if not _is_fair(action, server, connected):
        yield Problem(f"refused: {error} {action.result['code']} {action.kind}", told)


def _is_fair(action: Action, server: RoundServer, connected: float) -> bool:
    """Whether there was a reason. connected: since when this client was."""
    error, code, says = (action.result[key] for key in ("error", "code", "says"))
    changes = action.kind != "search"
    if error == "ConnectionFailed":
        return server.was_down(connected, action.ended)
    if code in _LOCKS:
        return changes or server.has_been(SHORT_WAITS)
    if code in _READ_ONLY:
        return changes and server.was_read_only(action.began, action.ended)
    if code in _FULL:
        return server.has_been(DISK_FULL)
    # What others have deleted meanwhile.
    gone = {"delete": "no image with id", "attributes": "no row of"}.get(action.kind)
    return error == "InputError" and gone is not None and gone in says


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
    """Yield what `index check` names that the docs do not allow it to name."""
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
