"""Compares the table with the journals: nothing lost, doubled, changed, back or half done."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from tests.torture.journal import DONE, UNDONE, Action
from tests.torture.problems import Problem
from tests.torture.snapshot import StoredRow
from tests.torture.timeline import Mask, Timeline, Version


def judge_rows(
    stored: Sequence[StoredRow], timeline: Timeline, actions: Sequence[Action]
) -> Iterator[Problem]:
    """Yield every broken promise about rows."""
    names = Counter(row.name for row in stored)
    yield from (Problem("row doubled", f"{name!r}") for name, n in names.items() if n > 1)
    unknown = [row for row in stored if row.name not in timeline.index]
    yield from (Problem("row that nobody has added", str(row)[:300]) for row in unknown)
    present = {timeline.index[row.name]: row for row in stored if row.name in timeline.index}
    is_there = np.zeros(len(timeline.names), np.bool_)
    is_there[list(present)] = True
    told = [
        ("acknowledged row lost", _lost(timeline) & ~is_there),
        ("row there that was rolled back", timeline.was_undone & is_there),
        ("deleted row is back", np.isfinite(timeline.gone_ended) & is_there),
    ]
    for kind, mask in told:
        yield from (Problem(kind, _row(timeline, i)) for i in np.flatnonzero(mask).tolist())
    for i, row in present.items():
        yield from _judge_row(timeline, i, row)
    yield from _judge_halves(timeline, is_there, actions, present)


def _lost(timeline: Timeline) -> Mask:
    """Which rows must be there: acknowledged, and nobody has begun to delete them."""
    return np.isfinite(timeline.added_ended) & np.isinf(timeline.gone_began)


def _judge_row(timeline: Timeline, i: int, row: StoredRow) -> Iterator[Problem]:
    acknowledged = timeline.ids.get(i, row.id)
    if acknowledged != row.id:
        yield Problem("wrong id", f"{_row(timeline, i)}: told {acknowledged}, stored {row.id}")
    if not any(_is(version, row.embedding) for version in timeline.versions(i)):
        yield Problem("wrong bytes", f"{_row(timeline, i)}: {str(row.embedding)[:100]}")
    if row.shelf is not None and row.shelf != timeline.shelves[i]:
        yield Problem("wrong attribute", f"{_row(timeline, i)}: {row.shelf}")
    if row.shelf is None and np.isfinite(timeline.shelf_ended[i]):
        yield Problem("acknowledged attribute lost", _row(timeline, i))


def _is(version: Version, stored: bytes | None) -> bool:
    return stored == (None if version.vector is None else version.vector.tobytes())


def _judge_halves(
    timeline: Timeline, is_there: Mask, actions: Sequence[Action], present: dict[int, StoredRow]
) -> Iterator[Problem]:
    """What was not acknowledged has happened as a whole or not at all."""
    deletes = Counter(row for _, rows in timeline.deletes for row in rows)
    given = [a for a in actions if a.kind == "attributes"]
    settings = Counter(name for a in given for name in a.given["names"])
    for action, rows in timeline.deletes:
        alone = [i for i in rows if deletes[i] == 1 and np.isfinite(timeline.added_ended[i])]
        yield from _half(action, [bool(is_there[i]) for i in alone])
    for action in actions:
        if action.kind in ("add", "replace"):
            kept = [i for i in timeline.batch(action) if np.isinf(timeline.gone_began[i])]
            yield from _half(action, [bool(is_there[i]) for i in kept])
    for action in given:
        alone = timeline.rows_of([n for n in action.given["names"] if settings[n] == 1])
        yield from _half(action, [present[i].shelf is not None for i in alone if i in present])


def _half(action: Action, happened: list[bool]) -> Iterator[Problem]:
    if action.outcome not in (DONE, UNDONE) and len(set(happened)) > 1:
        yield Problem("half done", f"{sum(happened)} of {len(happened)} rows: {action}")


def _row(timeline: Timeline, i: int) -> str:
    return (
        f"{timeline.names[i]!r} added {timeline.added_began[i]:.3f} to "
        f"{timeline.added_ended[i]:.3f}, deleted {timeline.gone_began[i]:.3f} to "
        f"{timeline.gone_ended[i]:.3f}, changed {timeline.changed_began[i]:.3f}"
    )
