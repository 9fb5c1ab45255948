"""Rows in memory: what is added, removed, replaced and added again, against a dict."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.index.memory_rows import MemoryRows

IDS = st.integers(-(2**62), 2**62)
CAPACITY = 200


def ids_array(ids):
    return np.array(ids, np.int64)


@given(
    st.lists(st.integers(0, 20), max_size=40),
    st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 30), unique=True, max_size=8))),
)
def test_any_history(loaded, changes):
    rows = MemoryRows(CAPACITY)
    # A damaged index may have several codes of one id.
    positions = rows.add(ids_array(loaded), ids_array(loaded) % 7)
    known = dict(zip(positions.tolist(), loaded, strict=True))
    for is_added, ids in changes:
        removed, cells = rows.remove(ids_array(ids))
        assert sorted(removed) == sorted(p for p, row_id in known.items() if row_id in ids)
        assert [known.pop(p) % 7 for p in removed.tolist()] == cells.tolist()
        if is_added:
            new = rows.add(ids_array(ids), ids_array(ids) % 7).tolist()
            assert not known.keys() & set(new)
            known |= dict(zip(new, ids, strict=True))
        assert len(rows) == len(known) and rows.room == CAPACITY - len(known)
        at = ids_array([*known, -1])
        assert rows.ids_at(at).tolist() == [*known.values(), -1]
    single = [row_id for row_id in set(known.values()) if list(known.values()).count(row_id) == 1]
    bits = np.unpackbits(rows.bits_of(ids_array([*single, 99])), bitorder="little")
    assert set(np.flatnonzero(bits)) == {p for p, row_id in known.items() if row_id in single}


@given(st.lists(IDS, unique=True), IDS)
def test_positions_of_what_was_loaded(ids, other):
    rows = MemoryRows(len(ids))
    positions = rows.add(ids_array(ids), np.zeros(len(ids), np.intp))
    assert rows.loaded_positions(ids_array(ids)).tolist() == positions.tolist()
    assert rows.loaded_positions(ids_array([other]))[0] == (
        positions[ids.index(other)] if other in ids else -1
    )


def test_rows_that_come_and_go_take_no_more_room():
    rows = MemoryRows(12)
    rows.add(np.arange(10), np.zeros(10, np.intp))
    rows.remove(np.array([10**6]))  # unknown; what is added from now on is a change
    for start in range(100, 10_000, 2):
        rows.add(np.array([start, start + 1]), np.zeros(2, np.intp))
        rows.remove(np.array([start, start + 1]))
    assert rows.room == 2 and len(rows._changed) == 0
