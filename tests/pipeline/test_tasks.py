"""Threads that work together: what passes between them, and how they stop."""

import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter

import pytest

from lookalike.pipeline.tasks import Channel, Crew, Stopped

LIMIT = 30.0  # seconds that anything may take
N = 500


def feed(channel: Channel, items=range(N)) -> None:
    for item in items:
        channel.put(item)
    channel.close()


def wait(crew: Crew) -> None:
    """Do what a thread does that waits for something which the crew's stop ends."""
    assert crew.stop.wait(LIMIT)
    crew.check()


def is_leaving() -> bool:
    """Whether the main thread waits for the others at the end of a crew's block."""
    frame = sys._current_frames()[threading.main_thread().ident]
    return any(frame.f_code.co_name == "__exit__" for frame, _ in traceback.walk_stack(frame))


def assert_all_have_ended() -> None:
    assert not [each for each in threading.enumerate() if each.name.startswith("lookalike-")]


def test_items_arrive_in_order():
    with Crew() as crew:
        channel = crew.channel(3)
        crew.start("feed", lambda: feed(channel))
        assert list(channel) == list(range(N))
    assert_all_have_ended()


def test_a_channel_without_items_ends():
    with Crew() as crew:
        channel = crew.channel(1)
        crew.start("feed", lambda: feed(channel, []))
        assert list(channel) == []


def test_a_channel_holds_no_more_than_its_size():
    sent = []

    def send() -> None:
        for item in range(N):
            channel.put(item)
            sent.append(item)
        channel.close()

    with Crew() as crew:
        channel = crew.channel(3)
        crew.start("feed", send)
        for taken, _ in enumerate(channel, start=1):
            assert len(sent) <= taken + 3
    assert len(sent) == N


def test_several_producers_and_consumers_pass_each_item_once():
    seen: list[Counter] = [Counter() for _ in range(4)]
    with Crew() as crew:
        channel, results = crew.channel(2, producers=3), crew.channel(1, producers=4)

        def pass_on(number: int) -> None:
            for item in channel:
                seen[number][item] += 1
                results.put(item)
            results.close()

        for start in range(3):
            crew.start("feed", lambda start=start: feed(channel, range(start, N, 3)))
        for number in range(4):
            crew.start("pass", lambda number=number: pass_on(number))
        assert sorted(results) == list(range(N))
    assert sum(seen, Counter()) == Counter(range(N))
    assert_all_have_ended()


def test_the_error_of_a_thread_stops_all_and_is_raised():
    stopped = []

    def fail() -> None:
        raise ValueError("of a thread")

    with pytest.raises(ValueError, match="^of a thread$"), Crew() as crew:
        crew.at_stop(lambda: stopped.append(crew.stop.is_set()))
        full, empty = crew.channel(1), crew.channel(1)
        crew.start("put", lambda: feed(full))
        crew.start("take", lambda: list(empty))
        crew.start("wait", lambda: wait(crew))
        crew.start("fail", fail)
        list(empty)  # raises Stopped, which nobody sees
    assert stopped and all(stopped)
    assert_all_have_ended()


def test_the_error_of_a_thread_is_raised_also_when_the_block_is_done():
    def fail() -> None:
        raise SystemExit("of a thread")

    with pytest.raises(SystemExit, match="of a thread"), Crew() as crew:
        crew.start("fail", fail)


def test_the_first_of_several_errors_is_raised_alone():
    def fail_first() -> None:
        raise ValueError("first")

    def fail_later() -> None:
        assert crew.stop.wait(LIMIT)
        raise KeyError("later")

    with pytest.raises(ValueError, match="^first$") as caught, Crew() as crew:
        crew.start("later", fail_later)
        crew.start("first", fail_first)
    assert caught.value.__context__ is None or isinstance(caught.value.__context__, Stopped)


def test_the_error_of_the_block_stops_all_and_is_raised():
    stopped = []
    with pytest.raises(ValueError, match="^of the block$"), Crew() as crew:
        crew.at_stop(lambda: stopped.append("action"))
        channel = crew.channel(1)
        crew.start("put", lambda: feed(channel))
        crew.start("wait", lambda: wait(crew))
        raise ValueError("of the block")
    assert stopped == ["action"]
    assert_all_have_ended()


def test_ctrl_c_in_the_block_stops_all():
    stopped = []
    with pytest.raises(KeyboardInterrupt), Crew() as crew:
        crew.at_stop(lambda: stopped.append("action"))
        channel = crew.channel(1)
        crew.start("put", lambda: feed(channel))
        crew.start("wait", lambda: wait(crew))
        signal.raise_signal(signal.SIGINT)
    assert stopped == ["action"]
    assert_all_have_ended()


def test_ctrl_c_after_the_block_stops_all():
    stopped = []

    def interrupt() -> None:
        while not is_leaving():
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGINT)
        wait(crew)

    with pytest.raises(KeyboardInterrupt), Crew() as crew:
        crew.at_stop(lambda: stopped.append("action"))
        crew.start("interrupt", interrupt)
    assert stopped == ["action"]
    assert_all_have_ended()


def test_a_generator_that_is_left_stops_all():
    def numbers():
        with Crew() as crew:
            channel = crew.channel(1)
            crew.start("feed", lambda: feed(channel))
            yield from channel

    generator = numbers()
    assert next(generator) == 0
    generator.close()
    assert_all_have_ended()


def test_a_stopped_crew_takes_and_gives_nothing():
    crew = Crew()
    channel = crew.channel(1)
    crew.check()
    crew.stop.set()
    for use in (crew.check, lambda: channel.put(1), lambda: list(channel)):
        with pytest.raises(Stopped):
            use()
