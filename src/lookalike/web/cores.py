"""Which cores the server's threads run on.

The event loop and the threads of searches take turns at Python's lock. To hand it to a thread on
another core takes about as long as the work between two turns, so on one core they answer up to
1.8 times as many requests (docs/benchmarks.md). Threads inherit the cores of the one that starts
them: those that compute ask for all of them.
"""

import os

_ALL = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()


def share_one_core() -> None:
    """Let this thread run on the core that all such threads share; only Linux can do so."""
    if _ALL:
        os.sched_setaffinity(0, {max(_ALL)})


def use_all_cores() -> None:
    """Let this thread, and those that it starts, run on every core."""
    if _ALL:
        os.sched_setaffinity(0, _ALL)
