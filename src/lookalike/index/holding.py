"""Hold an index in memory: load it in the background, and load it anew when that is needed."""

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import Self

from lookalike.core.errors import LookalikeError
from lookalike.core.progress import Progress
from lookalike.core.reports import HeldStatus
from lookalike.core.types import HeldState
from lookalike.index.kinds import chosen_kind
from lookalike.index.loading import catch_up, load, no_versions
from lookalike.index.memory import MemoryIndex
from lookalike.index.store import IndexStore

PAUSE, LEAST_PAUSE = 4.0, 1.0
"""Between two loadings: so many times as long as the first of them took, and at least so many
seconds."""


class HeldIndex:
    """An index that is held in memory as long as this is open; threads may share it.

    It is loaded by a thread of its own. Until it is there, and whenever it cannot be used, MySQL
    searches.

    Args:
        store: The index.
        limit: The most memory to take, in bytes; None: a quarter of what is free.
        with_vectors: Whether to hold the embeddings too, as exactly as the limit allows.
        notify: Called with one line when the index cannot be held.
        progress: Called with (codes read, codes in all).
        least_pause: Between two loadings, in seconds.
    """

    def __init__(
        self,
        store: IndexStore,
        *,
        limit: int | None = None,
        with_vectors: bool = True,
        notify: Callable[[str], None] = lambda line: None,
        progress: Progress = lambda done, total: None,
        least_pause: float = LEAST_PAUSE,
    ) -> None:
        self._store = store
        self._limit = limit
        self._with_vectors = with_vectors
        self._notify = notify
        self._progress = progress
        self._least_pause = least_pause
        self._pid = os.getpid()
        self._changing = Lock()
        self._closed = Event()
        self._settled = Event()
        self._thread: Thread | None = None
        self._memory: MemoryIndex | None = None
        self._state: HeldState = "loading"
        self._refusal = ""
        self._not_before = 0.0
        self._start(self._load)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<HeldIndex of {self._store.table.title}: {self._state}>"

    @property
    def state(self) -> HeldState:
        """What it does: "waiting" is between two loadings, "refused" is for good."""
        return self._state

    def status(self) -> HeldStatus:
        """Return what it holds now."""
        memory = self._memory
        return HeldStatus(
            state=self._state,
            codes=len(memory) if memory else 0,
            precision=memory.precision if memory else None,
            nbytes=memory.nbytes if memory else 0,
            refusal=self._refusal,
        )

    def memory(self) -> MemoryIndex | None:
        """Return the copy; None while MySQL has to search."""
        if self._pid != os.getpid():  # a fork: its locks may be held by threads that are not here
            return None
        memory = self._memory
        if memory is None and self._state == "waiting" and monotonic() >= self._not_before:
            self._start(self._load)
        return memory

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is loaded or refused; return whether it is loaded. timeout: in seconds."""
        self._settled.wait(timeout)
        return self._memory is not None

    def outdated(self, memory: MemoryIndex) -> None:
        """Load the index anew, because a copy cannot be brought to the newest version."""
        with self._changing:
            if self._memory is memory:
                self._memory, self._state = None, "waiting"
        self.memory()

    def behind(self, memory: MemoryIndex) -> None:
        """Bring the copy to the newest version in the background, because much has changed."""
        if self._memory is memory:
            self._start(lambda: self._catch_up(memory))

    def close(self) -> None:
        """Release the memory; closing twice is harmless."""
        self._closed.set()
        if (thread := self._thread) is not None and self._pid == os.getpid():
            thread.join()
        self._memory, self._state = None, "closed"
        self._settled.set()

    def _start(self, work: Callable[[], None]) -> None:
        """Run this in the thread, unless it is busy."""
        with self._changing:
            if self._closed.is_set() or (self._thread and self._thread.is_alive()):
                return
            self._thread = Thread(target=work, name="lookalike-index", daemon=True)
            self._thread.start()

    def _load(self) -> None:
        self._state, began = "loading", monotonic()
        memory, lines = None, list[str]()
        with suppress(LookalikeError):  # a lost connection: try again later
            memory = self._read(lines.append)
        with self._changing:
            self._not_before = monotonic() + max(self._least_pause, PAUSE * (monotonic() - began))
            self._memory = memory if memory and memory.version else None
            self._state = "ready" if self._memory else "refused" if lines else "waiting"
            self._refusal = " ".join(lines)
        self._settled.set()
        for line in lines:
            self._notify(line)

    def _read(self, notify: Callable[[str], None]) -> MemoryIndex | None:
        index = self._store.load()
        if index is None and chosen_kind(self._store) == "server":
            notify(
                f"The server's own index searches {self._store.table.title}; only lookalike's is "
                'held in memory: build it with index.build(kind="lookalike").'
            )
        if index is None or index.plan.is_exact:
            return None
        if (why := no_versions(self._store)) is not None:
            notify(f"MySQL searches the index of {self._store.table.title}, because {why}.")
            return None
        return load(
            self._store,
            notify=notify,
            limit=self._limit,
            with_vectors=self._with_vectors and self._store.table.dialect.has_checksums,
            progress=self._progress,
            is_stopped=self._closed.is_set,
        )

    def _catch_up(self, memory: MemoryIndex) -> None:
        try:
            is_current = catch_up(self._store, memory)
        except LookalikeError:  # a lost connection: the next search tells
            return
        if not is_current:
            with self._changing:
                if self._memory is memory:
                    self._memory, self._state = None, "waiting"
