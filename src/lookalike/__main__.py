"""The `lookalike` program, also `python -m lookalike`: run it and always exit cleanly.

It imports little, so that it handles Ctrl-C from the start.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130
NOT_DONE = 2
TYPE_CHECKING = False  # instead of typing's, which is slow to import

try:
    import signal
except KeyboardInterrupt:
    os._exit(INTERRUPTED)

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line, then exit with its status."""
    _Interrupts().begin()
    from lookalike.cli.streams import OutputLost, guard_streams

    guard_streams()
    try:
        from lookalike.cli.main import main as commands

        commands.main(prog_name="lookalike")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else NOT_DONE
    except KeyboardInterrupt:
        status = INTERRUPTED
    except OutputLost as error:
        status = NOT_DONE
        error.tell()
    _end(status)


class _Interrupts:
    """Ctrl-C raises KeyboardInterrupt once, if that is safe; otherwise it ends the process."""

    def begin(self) -> None:
        """Handle Ctrl-C, unless the parent process disabled it."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._unraisable

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, _leave)  # a second Ctrl-C exits at once
        # Interrupting the import of native code would abort the process.
        if _imports(frame):
            _leave()
        raise KeyboardInterrupt

    def _unraisable(self, what: sys.UnraisableHookArgs, /) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):  # raised where it cannot propagate
            _leave()
        sys.__unraisablehook__(what)


def _imports(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _leave(*_: object) -> NoReturn:
    os._exit(INTERRUPTED)


def _end(status: int) -> NoReturn:
    """Flush the output and exit at once."""
    from lookalike.cli.streams import OutputLost

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OutputLost as error:
            status = status or NOT_DONE
            error.tell()
    # Without waiting for threads, which may be blocked, and without taking all modules apart, which
    # takes a tenth of a second. Whatever must be closed is closed by `with`.
    os._exit(status)


if __name__ == "__main__":
    main()
