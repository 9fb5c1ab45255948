"""A stream of searches: the index is held from when that pays."""

import pytest

from lookalike.search.options import Asked, SearchOptions
from lookalike.search.stream import StreamSearcher
from tests.index.clusters import clustered, names

N, DIM = 3000, 24


@pytest.fixture
def vectors():
    return clustered(N, DIM)


@pytest.fixture
def own(db, vectors):
    own = db.collection("own", dim=DIM)
    own.add_embeddings(names(N), vectors)
    return own


def ask(searcher, vectors, n):
    """The plans of n searches, each of which finds its own row first."""
    plans = []
    for place in range(n):
        found = searcher.search(Asked(vectors[place], SearchOptions(k=3)))
        assert found.matches[0].id == place + 1
        plans.append(found.plan)
    return plans


def test_the_index_is_held_once_that_pays(own, vectors):
    """A search of one cell reads all 3,000 codes; loading one takes as long as reading five."""
    searcher = StreamSearcher(own._state.index, notify=print)
    assert ask(searcher, vectors, 4) == ["codes"] * 4 and searcher._own is None
    ask(searcher, vectors, 2)
    assert searcher._own is not None and searcher._own.wait(30)
    assert ask(searcher, vectors, 3) == ["codes in memory"] * 3
    searcher.close()
    assert searcher._own.state == "closed" and ask(searcher, vectors, 1) == ["codes"]


def test_an_index_that_is_held_already_is_used(own, vectors):
    with own.hold_index() as held:
        assert held.wait(30)
        searcher = StreamSearcher(own._state.index, held, notify=print)
        assert ask(searcher, vectors, 10) == ["codes and float32 in memory"] * 10
        searcher.close()
        assert searcher._own is None and held.state == "ready"


def test_a_limit_that_is_too_small_is_told_once(own, vectors):
    lines = []
    searcher = StreamSearcher(own._state.index, limit=1000, notify=lines.append)
    ask(searcher, vectors, 6)
    assert searcher._own is not None and not searcher._own.wait(30)
    assert ask(searcher, vectors, 20) == ["codes"] * 20
    searcher.close()
    assert len(lines) == 1 and "the limit is 0.0 MB" in lines[0]


def test_where_every_search_is_exact_nothing_is_loaded(db, vectors):
    few = db.collection("few", dim=DIM)
    few.add_embeddings(names(50), vectors[:50])
    searcher = StreamSearcher(few._state.index, notify=print)
    assert ask(searcher, vectors, 20) == ["exact"] * 20 and searcher._own is None
