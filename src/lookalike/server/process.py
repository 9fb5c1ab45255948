"""The server's process: make its data folder, start, recognise and stop it."""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from lookalike.core.errors import ServerError
from lookalike.server import log, upgrade
from lookalike.server.engine import Engine
from lookalike.server.folders import Folders, make_private, remove_leftovers, require_space
from lookalike.server.mysqld import NO_OPTION_FILES, Mysqld

DATA_MEGABYTES = 300  # a new data folder with its redo log
START_LIMIT = 900.0  # seconds: crash recovery can be slow
STOP_LIMIT = 300.0  # seconds: writing a large buffer pool can be slow
UNLOCK_LIMIT = 10.0  # seconds: a killed server holds its locks until its memory is freed
STEP = 0.05  # seconds


def make_data(mysqld: Mysqld, folders: Folders, *, megabytes: int = DATA_MEGABYTES) -> None:
    """Make a data folder with a user root without password; it appears when it is complete."""
    engine = mysqld.engine
    purpose = f"A new {engine.title} data folder"
    require_space(folders.home, megabytes=megabytes, purpose=purpose)
    remove_leftovers(folders.home, "data.new-")
    with tempfile.TemporaryDirectory(prefix="data.new-", dir=folders.home) as work:
        new = Path(work, "data")
        sql = mysqld.bootstrap()
        if sql:
            new.mkdir(mode=0o700)
        # A server that starts removes the temporary tables in its folder for them, also another's.
        command = [*mysqld.command(), f"--datadir={new}", f"--tmpdir={work}", *engine.initialize]
        try:
            made = subprocess.run(
                command,
                input=sql,
                capture_output=True,
                cwd=work,
                timeout=START_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"{engine.program} has not made its data folder in {folders.home} in "
                f"{START_LIMIT:.0f} s: is the disk very slow?"
            ) from None
        if made.returncode != 0:
            output = (made.stdout + made.stderr).decode(errors="replace")
            raise ServerError(log.explain(output, data=folders.data, engine=engine))
        upgrade.note(mysqld, new)
        new.rename(folders.data)


def launch(
    mysqld: Mysqld,
    folders: Folders,
    buffer_pool: int,
    *,
    accepts: Callable[[], bool],
    unlock_limit: float = UNLOCK_LIMIT,
) -> None:
    """Start the server as a daemon, and return when it accepts connections.

    It has its own session, so that it survives this process and its Ctrl-C. accepts: whether it
    does; not asked of programs that put themselves into the background.
    """
    upgrade.check(mysqld, folders.data)
    _refuse_if_in_use(mysqld, folders.data, unlock_limit)
    folders.make_run()
    make_private(folders.tmp)
    for stale in (
        *(folders.pid_file, folders.socket, folders.hidden_socket),
        Path(f"{folders.socket}.lock"),
    ):
        stale.unlink(missing_ok=True)  # left by a killed server; none is running now
    offset = log.size(folders.log)
    command = [*mysqld.command(), *server_options(folders, buffer_pool)]
    with folders.log.open("ab") as output:
        try:
            is_up = (
                _daemonize(command, folders.home, output)
                if mysqld.engine.daemonizes
                else _to_background(command, folders.home, output, accepts)
            )
        except TimeoutError:
            raise ServerError(
                f"{mysqld.engine.title} is still starting after {START_LIMIT:.0f} s: try again "
                f"later; its log is {folders.log}"
            ) from None
    if not is_up:
        text = log.read_from(folders.log, offset)
        raise ServerError(log.explain(text, data=folders.data, engine=mysqld.engine))


def _daemonize(command: list[str], home: Path, output: IO[bytes]) -> bool:
    """Start a program that puts itself into the background; return whether it is up."""
    try:
        started = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=home,
            start_new_session=True,
            timeout=START_LIMIT,
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    return started.returncode == 0


def _to_background(
    command: list[str], home: Path, output: IO[bytes], accepts: Callable[[], bool]
) -> bool:
    """Start a program in the background of a shell that ends; return whether it is up."""
    started = subprocess.run(
        ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=output,
        cwd=home,
        start_new_session=True,
        check=True,
    )
    deadline = time.monotonic() + START_LIMIT
    try:
        process = psutil.Process(int(started.stdout))
    except psutil.NoSuchProcess:
        return False
    while not accepts():
        if not is_alive(process):
            return False
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(STEP)
    return True


def server_options(folders: Folders, buffer_pool: int) -> list[str]:
    """Return a running server's options: one user, this machine only, crash-safe.

    buffer_pool: its size in bytes.
    """
    return [
        f"--datadir={folders.data}",
        f"--tmpdir={folders.tmp}",
        f"--socket={folders.socket}",
        f"--pid-file={folders.pid_file}",
        f"--log-error={folders.log}",
        "--skip-networking",
        # There is no replication: without the log inserts are faster and functions can be created.
        "--disable-log-bin",
        # Its instrumentation takes as much memory as the rest of an idle server.
        "--performance-schema=OFF",
        f"--innodb-buffer-pool-size={buffer_pool}",
        *folders.engine.server_options,
    ]


def find_process(folders: Folders) -> psutil.Process | None:
    """Return the running server of these folders.

    The pid file is only a hint: after a crash its number may belong to another process, and it is
    missing while the server starts.
    """
    try:
        process = psutil.Process(int(folders.pid_file.read_text()))
    except (OSError, ValueError, OverflowError, psutil.Error):
        pass
    else:
        if _serves(process, folders):
            return process
    found = [process for process in psutil.process_iter() if _serves(process, folders)]
    # A starting daemon is briefly two processes: the younger one is the server.
    return max(found, key=lambda process: (process.create_time(), process.pid), default=None)


def program_of(process: psutil.Process) -> Path | None:
    """Return the server program that a process runs."""
    try:
        command = process.cmdline()
        return Path(command[command.index(NO_OPTION_FILES) - 1])
    except (psutil.Error, ValueError):
        return None


def has_socket(process: psutil.Process, socket: Path) -> bool:
    """Whether a server was started with this socket; True if it has just ended."""
    try:
        return f"--socket={socket}" in process.cmdline()
    except psutil.Error:
        return True


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs; False for a zombie."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def terminate(process: psutil.Process, folders: Folders) -> None:
    """Shut the server down cleanly and wait for its end."""
    try:
        process.terminate()
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise ServerError(
            f"{folders.engine.title} (pid {process.pid}) is another user's: stop it as that user"
        ) from None
    deadline = time.monotonic() + STOP_LIMIT
    while is_alive(process):
        if time.monotonic() > deadline:
            raise ServerError(
                f"{folders.engine.title} (pid {process.pid}) has not stopped in "
                f"{STOP_LIMIT:.0f} s: wait for it, its log is {folders.log}"
            )
        time.sleep(STEP)


def _refuse_if_in_use(mysqld: Mysqld, data: Path, limit: float) -> None:
    """Raise ServerError if a server that is not ours holds InnoDB's lock on a data folder.

    InnoDB itself would retry for 100 seconds.
    """
    deadline = time.monotonic() + limit
    while _is_locked(data / "ibdata1"):
        if time.monotonic() > deadline:
            raise ServerError(
                f"{data} is in use by a {mysqld.engine.program} that is not ours, maybe in a "
                "container or on another machine: stop that one, or set LOOKALIKE_HOME to another "
                "folder"
            )
        time.sleep(STEP)


def _is_locked(path: Path) -> bool:
    import fcntl  # not on Windows

    try:
        with path.open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _serves(process: psutil.Process, folders: Folders) -> bool:
    """Whether a process is this user's server on a data folder.

    A process can fake its command line, so ask the system for its owner and program.
    """
    try:
        users = process.uids()
        return (
            users.real == users.effective == os.geteuid()
            and f"--datadir={folders.data}" in process.cmdline()
            and _is_program(process, folders.engine)
            and is_alive(process)
        )
    except psutil.Error:
        return False


def _is_program(process: psutil.Process, engine: Engine) -> bool:
    program = Path(process.exe())
    if program.name.startswith("ld-"):  # a tree's loader, which runs the given program
        program = program_of(process) or program
    named = os.environ.get(engine.variable)  # whatever its name
    return program.name.startswith(engine.program) or (
        named is not None and program == Path(named).expanduser().resolve()
    )
