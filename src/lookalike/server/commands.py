"""Run system programs during the installation of MySQL."""

import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from lookalike.core.errors import ServerError

TAIL = 20  # lines
STEP = 0.2  # seconds


def tail(text: str) -> str:
    """Return the last lines of a program's output or log."""
    return "\n".join(text.strip().splitlines()[-TAIL:])


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    failure: str,
    meanwhile: Callable[[], None] = lambda: None,
) -> str:
    """Run a command to its end and return its output; call `meanwhile` repeatedly.

    If it fails, raise ServerError: first `failure`, then the end of the output.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
            )
        except OSError as error:
            raise ServerError(f"{failure}\n{command[0]}: {error.strerror}") from error
        with process:
            try:
                while process.poll() is None:
                    meanwhile()
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(STEP)
            finally:
                if process.poll() is None:  # interrupted: leave nothing running
                    process.kill()
        output.seek(0)
        text = output.read().decode(errors="replace")
    if process.returncode != 0:
        raise ServerError(f"{failure}\n{tail(text)}".rstrip())
    return text
