"""Several threads at one work: order, errors and interrupts."""

import threading
import time
from contextlib import closing

import pytest

from lookalike.index import parallel
from lookalike.index.parallel import overlapped, side_by_side

ERRORS = [ValueError, KeyboardInterrupt]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())  # some of other tests, which may end meanwhile
    yield
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(monkeypatch, cores):
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)

    def work(item):
        time.sleep(0.01 * (item % 3))
        return item * item

    assert list(overlapped((i for i in range(20)), work)) == [i * i for i in range(20)]
    assert list(overlapped((i for i in range(0)), work)) == []


def test_few_items_are_made_ahead(monkeypatch):
    monkeypatch.setattr(parallel, "available_cores", lambda: 2)
    made = []
    items = (made.append(i) or i for i in range(100))
    with closing(overlapped(items, lambda item: item)) as results:
        assert next(results) == 0
        time.sleep(0.05)
        assert len(made) <= 4


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_maker_is_raised_once_and_ends_all(error):
    def items():
        yield 1
        raise error("maker")

    with pytest.raises(error, match="maker"):
        list(overlapped(items(), lambda item: item))


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_of_the_work_or_of_the_caller_closes_the_items(error):
    closed = []

    def items():
        try:
            yield from range(10**9)
        finally:
            closed.append(True)

    def fails(item):
        raise error("work")

    with pytest.raises(error, match="work"):
        list(overlapped(items(), fails))
    with pytest.raises(error, match="caller"), closing(overlapped(items(), str)) as results:
        for _ in results:
            raise error("caller")
    assert closed == [True, True]


def test_two_threads_act_on_their_items_at_the_same_time():
    acted = []
    barrier = threading.Barrier(2, timeout=10)

    def act(item):
        barrier.wait()
        acted.append((item, threading.get_ident() == threading.main_thread().ident))

    side_by_side(act, range(5), range(10, 15))
    assert sorted(acted) == [(i, True) for i in range(5)] + [(i, False) for i in range(10, 15)]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("where", [0, 1])
def test_an_error_on_one_side_ends_the_other_and_is_raised(error, where):
    acted = []

    def act(item):
        if item == where:
            raise error("here")
        acted.append(item)
        time.sleep(0.001)

    sides = iter([0]), iter([1])
    endless = (i for i in range(10, 10**9))
    with pytest.raises(error, match="here"):
        side_by_side(act, *(sides[where] if i == where else endless for i in (0, 1)))
    assert len(acted) < 100
