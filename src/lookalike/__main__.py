"""The program `lookalike`, also as `python -m lookalike`: how it ends, whatever ends it.

It imports little, so that Ctrl-C is its own from the first moment on.
"""

from __future__ import annotations

import os
import sys

INTERRUPTED = 130
NOT_DONE = 2
TYPE_CHECKING = False  # typing's, which takes long to import

try:
    import signal
except KeyboardInterrupt:
    os._exit(INTERRUPTED)

if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; leaves the process with its exit status."""
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
    """Ctrl-C raises KeyboardInterrupt once, where that cannot do harm, else ends the process."""

    def begin(self) -> None:
        """Take Ctrl-C over, unless whoever started the program has it ignored."""
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
            sys.unraisablehook = self._unraisable

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, _leave)  # the second one does not wait for the cleaning up
        # Native code that is interrupted while it is imported aborts the process.
        if _imports(frame):
            _leave()
        raise KeyboardInterrupt

    def _unraisable(self, what: sys.UnraisableHookArgs, /) -> None:
        if isinstance(what.exc_value, KeyboardInterrupt):  # came where nothing can be raised
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
    """Write what is not written yet, and leave."""
    from lookalike.cli.streams import OutputLost

    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OutputLost as error:
            status = status or NOT_DONE
            error.tell()
    if status == INTERRUPTED:
        _leave()  # without waiting for threads that wait for something themselves
    if signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
        signal.signal(signal.SIGINT, _leave)
    sys.exit(status)


if __name__ == "__main__":
    main()
