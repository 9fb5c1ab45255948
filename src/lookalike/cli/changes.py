"""Changes of files below folders, as the system tells of them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

from lookalike import InputError, MissingExtra

_TICK_SECONDS = 0.2
_LONGEST_WAIT = 1.0
_DELETED = 3  # watchfiles' Change.deleted
_TOO_MANY = "too many folders for the system: raise fs.inotify.max_user_watches"


class Changes:
    """The paths that have changed below some folders, each once it is quiet.

    quiet: how long nothing must have happened to a path, in seconds: it may still be written.
    """

    def __init__(self, folders: Sequence[Path], *, quiet: float) -> None:
        self._folders = folders
        self._quiet = quiet
        self._told: queue.SimpleQueue[set[tuple[int, str]] | BaseException] = queue.SimpleQueue()
        self._pending: dict[Path, float] = {}
        self._gone: set[Path] = set()
        self._stop, self._begun = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lookalike-watch", daemon=True)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch during the block; changes from before its first line are not told.

        Raises MissingExtra, and InputError if the system cannot watch the folders.
        """
        if find_spec("watchfiles") is None:
            raise MissingExtra("watch", "lookalike watch")
        self._thread.start()
        try:
            while not self._begun.wait(_TICK_SECONDS):
                pass
            self._take(0)
            yield
        finally:
            self._stop.set()
            self._thread.join(2 * _LONGEST_WAIT)

    def next(self, deadline: float) -> tuple[set[Path], bool]:
        """Wait for paths; return them and whether some of them are gone.

        Returns none at the deadline, by time.monotonic(). Raises InputError if a watched folder is
        gone.
        """
        while True:
            now = time.monotonic()
            ready = {path for path, at in self._pending.items() if now - at >= self._quiet}
            if ready or now >= deadline:
                are_gone = not self._gone.isdisjoint(ready)
                for path in ready:
                    del self._pending[path]
                self._gone -= ready
                return ready, are_gone
            self._take(max(0.0, min(_LONGEST_WAIT, self._quiet, deadline - now)))
            for folder in self._folders:
                if not folder.is_dir():
                    raise InputError(f"{folder} is gone; watch it again when it is back")

    def _take(self, seconds: float) -> None:
        """Note what is told within some seconds."""
        with suppress(queue.Empty):
            told = self._told.get(timeout=seconds) if seconds else self._told.get_nowait()
            if isinstance(told, BaseException):
                raise InputError(_problem(told, self._folders)) from told
            now = time.monotonic()
            for kind, name in told:
                path = Path(name)
                self._pending[path] = now
                if kind == _DELETED:
                    self._gone.add(path)
                else:
                    self._gone.discard(path)

    def _watch(self) -> None:
        from watchfiles import watch

        try:
            for told in watch(
                *self._folders,
                watch_filter=None,
                debounce=int(1000 * _TICK_SECONDS),
                rust_timeout=int(1000 * _TICK_SECONDS),
                yield_on_timeout=True,
                stop_event=self._stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            ):
                self._begun.set()
                if told:
                    self._told.put({(int(kind), path) for kind, path in told})
        # The system's errors, and those of watchfiles, which are of many kinds.
        except Exception as error:  # noqa: BLE001
            self._told.put(error)
        finally:
            self._begun.set()


def _problem(error: BaseException, folders: Sequence[Path]) -> str:
    reason = _TOO_MANY if "max_user_watches" in str(error) or "No space" in str(error) else error
    return f"cannot watch {', '.join(map(str, folders))}: {reason}"
