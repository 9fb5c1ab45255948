"""Another process that holds an index in memory and answers searches."""

import multiprocessing
from typing import Any

import numpy as np

import lookalike
from lookalike.index.holding import HeldIndex


class Holder:
    """Holds the index of a collection in a process of its own.

    search: returns the ids and the plan, as `explain` tells them.
    """

    def __init__(self, url: str, name: str, with_vectors: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_hold, args=(theirs, url, name, with_vectors), daemon=True
        )
        self._process.start()

    def search(self, query: np.ndarray, **options: Any) -> tuple[list[int], str]:
        self._pipe.send((query, options))
        found = self._pipe.recv()
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join(30)
        assert self._process.exitcode == 0


def _hold(pipe: Any, url: str, name: str, with_vectors: bool) -> None:
    with lookalike.connect(url) as db:
        collection = db.collection(name)
        state = collection._state
        with HeldIndex(state.index, with_vectors=with_vectors, least_pause=0.02) as held:
            state.held = held
            while (asked := pipe.recv()) is not None:
                held.memory()  # begins to load it again if that is due
                held.wait(10)
                try:
                    found = collection.explain(asked[0], **asked[1])
                    pipe.send(([match.id for match in found.matches], found.plan))
                except Exception as error:  # noqa: BLE001 - for the parent to raise
                    pipe.send(error)
