"""The server's process: make its data folder, start, recognise and stop it."""

import os
import subprocess
import tempfile
import time
from pathlib import Path

import psutil

from lookalike.core.errors import ServerError
from lookalike.server import log
from lookalike.server.folders import Folders, make_private, remove_leftovers, require_space
from lookalike.server.mysqld import NO_OPTION_FILES, VARIABLE, Mysqld

DATA_MEGABYTES = 300  # a new data folder with its redo log
START_LIMIT = 900.0  # seconds: crash recovery can be slow
STOP_LIMIT = 300.0  # seconds: writing a large buffer pool can be slow
UNLOCK_LIMIT = 10.0  # seconds: a killed server holds its locks until its memory is freed
STEP = 0.05  # seconds


def make_data(mysqld: Mysqld, folders: Folders, *, megabytes: int = DATA_MEGABYTES) -> None:
    """Make a data folder with a user root without password; it appears when it is complete."""
    require_space(folders.home, megabytes=megabytes, purpose="A new MySQL data folder")
    remove_leftovers(folders.home, "data.new-")
    with tempfile.TemporaryDirectory(prefix="data.new-", dir=folders.home) as work:
        new = Path(work, "data")
        command = [*mysqld.command(), f"--datadir={new}", "--initialize-insecure"]
        try:
            made = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=work,
                timeout=START_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"mysqld has not made its data folder in {folders.home} in {START_LIMIT:.0f} s: "
                "is the disk very slow?"
            ) from None
        if made.returncode != 0:
            output = (made.stdout + made.stderr).decode(errors="replace")
            raise ServerError(log.explain(output, data=folders.data))
        new.rename(folders.data)


def launch(
    mysqld: Mysqld, folders: Folders, buffer_pool: int, *, unlock_limit: float = UNLOCK_LIMIT
) -> None:
    """Start the server as a daemon, and return when it accepts connections.

    `--daemonize` gives it its own session, so that it survives this process and its Ctrl-C, and its
    exit status tells whether the server is up.
    """
    _refuse_if_in_use(folders.data, unlock_limit)
    folders.make_run()
    make_private(folders.tmp)
    for stale in (
        *(folders.pid_file, folders.socket, folders.hidden_socket),
        Path(f"{folders.socket}.lock"),
    ):
        stale.unlink(missing_ok=True)  # left by a killed server; none is running now
    offset = log.size(folders.log)
    with folders.log.open("ab") as output:
        try:
            started = subprocess.run(
                [*mysqld.command(), *server_options(folders, buffer_pool)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folders.home,
                start_new_session=True,
                timeout=START_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise ServerError(
                f"MySQL is still starting after {START_LIMIT:.0f} s: try again later; "
                f"its log is {folders.log}"
            ) from None
    if started.returncode != 0:
        text = log.read_from(folders.log, offset)
        raise ServerError(log.explain(text, data=folders.data))


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
        "--mysqlx=OFF",
        # There is no replication: without the log inserts are faster and functions can be created.
        "--disable-log-bin",
        # Its instrumentation takes as much memory as the rest of an idle server.
        "--performance-schema=OFF",
        f"--innodb-buffer-pool-size={buffer_pool}",
        "--daemonize",
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
        if _serves(process, folders.data):
            return process
    found = [process for process in psutil.process_iter() if _serves(process, folders.data)]
    # A starting daemon is briefly two processes: the younger one is the server.
    return max(found, key=lambda process: (process.create_time(), process.pid), default=None)


def program_of(process: psutil.Process) -> Path | None:
    """Return the mysqld that a process runs."""
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
            f"MySQL (pid {process.pid}) is another user's: stop it as that user"
        ) from None
    deadline = time.monotonic() + STOP_LIMIT
    while is_alive(process):
        if time.monotonic() > deadline:
            raise ServerError(
                f"MySQL (pid {process.pid}) has not stopped in {STOP_LIMIT:.0f} s: "
                f"wait for it, its log is {folders.log}"
            )
        time.sleep(STEP)


def _refuse_if_in_use(data: Path, limit: float) -> None:
    """Raise ServerError if a mysqld that is not ours holds InnoDB's lock on a data folder.

    InnoDB itself would retry for 100 seconds.
    """
    deadline = time.monotonic() + limit
    while _is_locked(data / "ibdata1"):
        if time.monotonic() > deadline:
            raise ServerError(
                f"{data} is in use by a mysqld that is not ours, maybe in a container or on "
                "another machine: stop that one, or set LOOKALIKE_HOME to another folder"
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


def _serves(process: psutil.Process, data: Path) -> bool:
    """Whether a process is this user's mysqld on a data folder.

    A process can fake its command line, so ask the system for its owner and program.
    """
    try:
        users = process.uids()
        return (
            users.real == users.effective == os.geteuid()
            and f"--datadir={data}" in process.cmdline()
            and _is_mysqld(process)
            and is_alive(process)
        )
    except psutil.Error:
        return False


def _is_mysqld(process: psutil.Process) -> bool:
    program = Path(process.exe())
    if program.name.startswith("ld-"):  # a tree's loader, which runs the given program
        program = program_of(process) or program
    named = os.environ.get(VARIABLE)  # whatever its name
    return program.name.startswith("mysqld") or (
        named is not None and program == Path(named).expanduser().resolve()
    )
