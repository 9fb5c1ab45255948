"""How the program ends: Ctrl-C at any moment, a reader that has had enough, a full disk."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.nightly

PROGRAM = [sys.executable, "-m", "lookalike"]
DELAYS = (0.02, 0.06, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.1, 1.5)
"""In seconds: from before Python has begun to within a search."""


def interrupt(arguments, delay, environment, program=PROGRAM):
    """Start the program alone in a group, interrupt the group, and return how it ended."""
    process = subprocess.Popen(
        [*program, *arguments],
        stdin=subprocess.PIPE,  # left open: a reader waits
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=environment,
    )
    with process:
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return process.returncode, process.stderr.read().decode()


def has_begun(errors):
    """Whether what was interrupted is lookalike; before, Ctrl-C is Python's own."""
    return not errors or "/lookalike/" in errors or "interrupted" in errors


def check_ending(status, errors):
    """Check how one ended, and return whether it was interrupted in lookalike."""
    if status == -signal.SIGINT and not errors:
        return False
    if not has_begun(errors):
        return False
    if status == 0:  # it was done already
        return False
    assert (status, "Traceback" in errors, "Fatal" in errors) == (130, False, False), errors
    return True


def endings(arguments, environment, **options):
    return [check_ending(*interrupt(arguments, delay, environment, **options)) for delay in DELAYS]


@pytest.fixture
def with_images(run, photos):
    """The environment of a database with images."""
    run("add", photos / "cat.jpg", "--model", "efficientnet-lite2")


def test_an_interrupt_at_any_moment_of_a_search(with_images, environment, photos):
    ended = endings(["search", str(photos / "cat.jpg")], environment)
    assert sum(ended) >= 3


def test_an_interrupt_of_the_installed_program(with_images, environment, photos):
    script = "import re, sys; from lookalike.__main__ import main; sys.exit(main())"
    ended = endings(["status"], environment, program=[sys.executable, "-c", script])
    assert sum(ended) >= 3


@pytest.mark.parametrize("delay", [0.3, 1, 3])
def test_an_interrupt_while_standard_input_is_waited_for(with_images, environment, delay):
    screen = ["screen", "-", "--against", "image_embeddings", "--min-similarity", "0.9"]
    assert check_ending(*interrupt(screen, delay, environment))


@pytest.mark.parametrize("delay", [0.5, 1, 2])
def test_an_interrupt_while_the_server_starts(installed_mysqld, tmp_path, environment, delay):
    environment |= {"LOOKALIKE_HOME": str(tmp_path), "LOOKALIKE_MYSQLD": str(installed_mysqld)}
    check_ending(*interrupt(["server", "start"], delay, environment))
    subprocess.run([*PROGRAM, "server", "stop"], env=environment, check=True, timeout=60)


def test_a_program_that_is_to_ignore_interrupts_does(environment):
    ignoring = f"trap '' INT; exec {sys.executable} -m lookalike --version"
    status, errors = interrupt(["-c", ignoring], 0.1, environment, program=["sh"])
    assert (status, errors) == (0, "")


def to_shell(line, environment, **options):
    return subprocess.run(
        ["bash", "-c", line],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


COMMANDS = ("--help", "status --json", "search {cat}")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_reader_that_has_gone_ends_the_program_quietly(with_images, environment, photos, command):
    command = command.format(cat=photos / "cat.jpg")
    program = f"{sys.executable} -m lookalike {command}"
    # The reader is gone before the first word is written.
    done = to_shell(f'{program} | true; echo "${{PIPESTATUS[0]}}"', environment)
    assert (done.stdout, done.stderr) == ("2\n", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_full_standard_output_is_an_error(with_images, environment, photos, command):
    command = command.format(cat=photos / "cat.jpg")
    done = to_shell(f"{sys.executable} -m lookalike {command} > /dev/full", environment)
    assert done.returncode == 2
    assert done.stderr == (
        "Error: standard output cannot be written: No space left on device; "
        "free some space there, or write it to another place\n"
    )


def test_a_reader_that_has_gone_of_what_is_screened(with_images, environment, photos):
    lines = f"while :; do echo {photos / 'cat.jpg'}; sleep .05; done"
    screen = "screen - --against image_embeddings --min-similarity 0.9"
    line = f"({lines}) 2> /dev/null | {sys.executable} -m lookalike {screen} | head -1"
    done = to_shell(f'{line}; echo "${{PIPESTATUS[1]}}"', environment, timeout=60)
    first, status = done.stdout.splitlines()
    assert first.startswith(str(photos / "cat.jpg")) and status == "2"
    assert done.stderr == ""


def test_what_is_on_standard_input_without_a_last_line_break_is_read(
    with_images, environment, photos
):
    screen = [*PROGRAM, "screen", "-", "--against", "image_embeddings", "--min-similarity", "0.9"]
    given = f"{photos / 'cat.jpg'}\r\n\n{photos / 'cat.jpg'}".encode()
    done = subprocess.run(screen, input=given, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stdout.count(b": match")) == (1, 2)


@pytest.fixture
def silent_mirror():
    """The URL of a mirror that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening, f"http://127.0.0.1:{listening.getsockname()[1]}/debian"


def test_an_interrupt_of_an_installation(silent_mirror, environment, tmp_path):
    listening, url = silent_mirror
    home = tmp_path / "home of its own"
    process = subprocess.Popen(
        [*PROGRAM, "server", "install", "--mirror", url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**environment, "LOOKALIKE_HOME": str(home), "LOOKALIKE_MYSQLD": ""},
    )
    with process:
        listening.settimeout(60)
        asked = listening.accept()[0]  # so apt is waiting for an answer
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        errors = process.stderr.read().decode()
    asked.close()
    assert "interrupted" in errors and "Traceback" not in errors
    assert [path.name for path in home.iterdir() if path.name != "install.lock"] == []
