"""The shared lock: readers together, a writer alone."""

import threading
import time

from lookalike.core.locks import SharedLock


def test_readers_share_and_a_writer_is_alone():
    lock, seen, most = SharedLock(), [0, 0], []

    def use(place, block):
        for _ in range(300):
            with block():
                seen[place] += 1
                most.append(tuple(seen))
                time.sleep(0.00002)
                seen[place] -= 1

    threads = [threading.Thread(target=use, args=(0, lock.reading)) for _ in range(4)]
    threads += [threading.Thread(target=use, args=(1, lock.writing)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Counts may be torn between readers, but a writer sees nobody.
    assert all(readers == 0 and writers == 1 for readers, writers in most if writers)


def test_a_reader_does_not_wait_for_another_one():
    lock, both = SharedLock(), threading.Barrier(2, timeout=10)

    def read():
        with lock.reading():
            both.wait()

    other = threading.Thread(target=read)
    other.start()
    read()
    other.join()


def test_a_writer_waits_for_readers_and_later_readers_for_it():
    lock, order, is_reading, end = SharedLock(), [], threading.Event(), threading.Event()

    def early():
        with lock.reading():
            is_reading.set()
            end.wait(10)
            order.append("early reader")

    def write():
        with lock.writing():
            order.append("writer")

    def late():
        with lock.reading():
            order.append("late reader")

    threads = [threading.Thread(target=each) for each in (early, write, late)]
    threads[0].start()
    assert is_reading.wait(10)
    threads[1].start()
    while not lock._writers:
        time.sleep(0.001)
    threads[2].start()
    time.sleep(0.05)
    assert order == []
    end.set()
    for thread in threads:
        thread.join()
    assert order == ["early reader", "writer", "late reader"]
