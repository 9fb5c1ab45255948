"""Threads that work together: what passes between them, and how they stop."""

import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter

import pytest

from lookalike.pipeline.tasks import Channel, Stopped, TaskGroup

LIMIT = 30.0  # seconds that anything may take
N = 500


def feed(channel: Channel, items=range(N)) -> None:
    for item in items:
        channel.put(item)
    channel.close()


def wait(group: TaskGroup) -> None:
    """Do what a thread does that waits for something which the group's stop ends."""
    assert group.stop.wait(LIMIT)
    group.check()


def is_leaving() -> bool:
    """Whether the main thread waits for the others at the end of a group's block."""
    frame = sys._current_frames()[threading.main_thread().ident]
    return any(frame.f_code.co_name == "__exit__" for frame, _ in traceback.walk_stack(frame))


def assert_all_have_ended() -> None:
    assert not [each for each in threading.enumerate() if each.name.startswith("lookalike-")]


def test_items_arrive_in_order():
    with TaskGroup() as group:
        channel = group.channel(3)
        group.start("feed", lambda: feed(channel))
        assert list(channel) == list(range(N))
    assert_all_have_ended()


def test_a_channel_without_items_ends():
    with TaskGroup() as group:
        channel = group.channel(1)
        group.start("feed", lambda: feed(channel, []))
        assert list(channel) == []


def test_a_channel_holds_no_more_than_its_size():
    sent = []

    def send() -> None:
        for item in range(N):
            channel.put(item)
            sent.append(item)
        channel.close()

    with TaskGroup() as group:
        channel = group.channel(3)
        group.start("feed", send)
        for taken, _ in enumerate(channel, start=1):
            assert len(sent) <= taken + 3
    assert len(sent) == N


def test_several_producers_and_consumers_pass_each_item_once():
    seen: list[Counter] = [Counter() for _ in range(4)]
    with TaskGroup() as group:
        channel, results = group.channel(2, producers=3), group.channel(1, producers=4)

        def pass_on(number: int) -> None:
            for item in channel:
                seen[number][item] += 1
                results.put(item)
            results.close()

        for start in range(3):
            group.start("feed", lambda start=start: feed(channel, range(start, N, 3)))
        for number in range(4):
            group.start("pass", lambda number=number: pass_on(number))
        assert sorted(results) == list(range(N))
    assert sum(seen, Counter()) == Counter(range(N))
    assert_all_have_ended()


def test_the_error_of_a_thread_stops_all_and_is_raised():
    stopped = []

    def fail() -> None:
        raise ValueError("of a thread")

    with pytest.raises(ValueError, match="^of a thread$"), TaskGroup() as group:
        group.at_stop(lambda: stopped.append(group.stop.is_set()))
        full, empty = group.channel(1), group.channel(1)
        group.start("put", lambda: feed(full))
        group.start("take", lambda: list(empty))
        group.start("wait", lambda: wait(group))
        group.start("fail", fail)
        list(empty)  # raises Stopped, which nobody sees
    assert stopped and all(stopped)
    assert_all_have_ended()


def test_the_error_of_a_thread_is_raised_also_when_the_block_is_done():
    def fail() -> None:
        raise SystemExit("of a thread")

    with pytest.raises(SystemExit, match="of a thread"), TaskGroup() as group:
        group.start("fail", fail)


def test_the_first_of_several_errors_is_raised_alone():
    def fail_first() -> None:
        raise ValueError("first")

    def fail_later() -> None:
        assert group.stop.wait(LIMIT)
        raise KeyError("later")

    with pytest.raises(ValueError, match="^first$") as caught, TaskGroup() as group:
        group.start("later", fail_later)
        group.start("first", fail_first)
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, Stopped)


def test_the_error_of_the_block_stops_all_and_is_raised():
    stopped = []
    with pytest.raises(ValueError, match="^of the block$"), TaskGroup() as group:
        group.at_stop(lambda: stopped.append("action"))
        channel = group.channel(1)
        group.start("put", lambda: feed(channel))
        group.start("wait", lambda: wait(group))
        raise ValueError("of the block")
    assert stopped == ["action"]
    assert_all_have_ended()


def test_ctrl_c_in_the_block_stops_all():
    stopped = []
    with pytest.raises(KeyboardInterrupt), TaskGroup() as group:
        group.at_stop(lambda: stopped.append("action"))
        channel = group.channel(1)
        group.start("put", lambda: feed(channel))
        group.start("wait", lambda: wait(group))
        signal.raise_signal(signal.SIGINT)
    assert stopped == ["action"]
    assert_all_have_ended()


def test_ctrl_c_after_the_block_stops_all():
    stopped = []

    def interrupt() -> None:
        while not is_leaving():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        wait(group)

    with pytest.raises(KeyboardInterrupt), TaskGroup() as group:
        group.at_stop(lambda: stopped.append("action"))
        group.start("interrupt", interrupt)
    assert stopped == ["action"]
    assert_all_have_ended()


def test_a_generator_that_is_left_stops_all():
    def numbers():
        with TaskGroup() as group:
            channel = group.channel(1)
            group.start("feed", lambda: feed(channel))
            yield from channel

    generator = numbers()
    assert next(generator) == 0
    generator.close()
    assert_all_have_ended()


def test_a_stopped_crew_takes_and_gives_nothing():
    group = TaskGroup()
    channel = group.channel(1)
    group.check()
    group.stop.set()
    for use in (group.check, lambda: channel.put(1), lambda: list(channel)):
        with pytest.raises(Stopped):
            use()


def test_what_is_taken_at_once_is_limited_in_number_and_time():
    with TaskGroup() as group:
        channel = group.channel(10)
        for number in range(5):
            channel.put(number)
        assert channel.take(3, 60) == [0, 1, 2]
        started = time.monotonic()
        assert channel.take(3, 0.3) == [3, 4]
        assert 0.2 < time.monotonic() - started < 30
        channel.put(5)
        channel.close()
        assert channel.take(3, 60) == [5]
        assert channel.take(3, 60) == []


def test_taking_ends_when_the_crew_is_stopped():
    group = TaskGroup()
    channel = group.channel(10)
    group.stop.set()
    with pytest.raises(Stopped):
        channel.take(3, 60)
