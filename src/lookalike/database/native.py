"""The native functions of a server: found, installed, removed, or what an administrator has to do.

They belong to the server, not to a database, and need a file in its plugin folder.
"""

import platform
import re
import shlex
import socket
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from lookalike.core.errors import ConnectionFailed, DatabaseError
from lookalike.database.connection import Connection
from lookalike.database.errors import LibraryNotOpened
from lookalike.database.privileges import account, held
from lookalike.dialects import Statement
from lookalike.dialects.native import (
    NATIVE_FUNCTIONS,
    NativeFunction,
    create_native,
    drop_native,
    have_native,
    installed_native,
    native_c,
    without_binary_log,
)
from lookalike.server.address import PrivateAddress
from lookalike.server.native import Library, build

NAMES = tuple(each.name for each in NATIVE_FUNCTIONS)
PRIVILEGES = ("SELECT", "INSERT", "DELETE")
LOG_PRIVILEGES = ("SESSION_VARIABLES_ADMIN", "SYSTEM_VARIABLES_ADMIN", "SUPER")
_OURS = re.compile(r"lookalike_native_[0-9a-f]{12}\.so")


def native_functions(connection: Connection) -> frozenset[str]:
    """Return the names of the native functions that the server has and that compute as expected.

    They are found by calling them, which needs no privilege.
    """
    if _have(connection, *NATIVE_FUNCTIONS):
        return frozenset(NAMES)
    return frozenset(each.name for each in NATIVE_FUNCTIONS if _have(connection, each))


def _have(connection: Connection, *functions: NativeFunction) -> bool:
    try:
        return bool(connection.value(have_native(functions)))
    except ConnectionFailed:
        raise
    except DatabaseError:
        return False


def install_native(connection: Connection) -> list[str]:
    """Build the native functions, create them on the server, and return their names.

    Raises:
        ServerError: There is no C compiler.
        DatabaseError: A privilege or the access to the plugin folder is missing; the message has
            the commands for an administrator.
    """
    machine = str(_setting(connection, "version_compile_machine"))
    if machine != platform.machine():
        raise DatabaseError(
            "the native functions cannot be built here: the server's machine is "
            f"{machine}, this one {platform.machine()}; run the command there"
        )
    lacking = _lacking(connection)
    if lacking and native_functions(connection) == set(NAMES):
        return list(NAMES)  # an administrator has installed them
    library = build(native_c())
    if lacking:
        _refuse(connection, library, lacking)
    before, after = _installed(connection), dict.fromkeys(NAMES, library.name)
    if before != after or native_functions(connection) != set(NAMES):
        _replace(connection, library, before)
        _delete_files(connection, set(before.values()) - {library.name})
    return list(NAMES)


def _replace(connection: Connection, library: Library, before: dict[str, str]) -> None:
    """Write the library, unless it is there, and create the functions from it.

    before: the library of each function that is to be replaced; if that fails it is kept.
    """
    folder = _plugin_folder(connection)
    reason, is_written = "the server is on another machine", False
    if _is_here(connection):
        reason = f"the server does not open {folder / library.name}"
        try:
            is_written = library.put(folder)
        except OSError as error:
            reason = f"{folder} cannot be written to: {error.strerror}"
    try:  # an administrator may have copied the file
        _run(connection, [*drop_native(), *create_native(dict.fromkeys(NAMES, library.name))])
    except LibraryNotOpened as error:
        _run(connection, create_native(before))
        if is_written:
            _delete_files(connection, {library.name})
        _refuse(connection, library, f"{reason} ({error})")


def remove_native(connection: Connection) -> list[str]:
    """Drop the native functions, delete their file, and return the names of those there were.

    Raises:
        DatabaseError: A privilege is missing; the message has the statements for an administrator.
    """
    if lacking := _lacking(connection):
        statements = " ".join(f"{each.sql};" for each in drop_native())
        raise DatabaseError(
            f"the native functions cannot be removed: {lacking}; have an administrator run "
            f"{statements}"
        )
    before = _installed(connection)
    _run(connection, drop_native())
    _delete_files(connection, set(before.values()))
    return sorted(before)


def _installed(connection: Connection) -> dict[str, str]:
    """Return the library of each installed function, by its name."""
    return dict(connection.query(installed_native()))


def _run(connection: Connection, statements: list[Statement]) -> None:
    with connection.session():
        if _setting(connection, "log_bin"):
            connection.execute(without_binary_log())
        for statement in statements:
            connection.execute(statement)


def _lacking(connection: Connection) -> str:
    """Return which privileges the user lacks; empty if none."""
    has = held(connection, "mysql")
    missing = [] if "ALL PRIVILEGES" in has else [p for p in PRIVILEGES if p not in has]
    lacking = [f"{', '.join(missing)} on mysql.*"] if missing else []
    may_set = {f"{name} ON *.*" for name in (*LOG_PRIVILEGES, "ALL PRIVILEGES")}
    if not has & may_set and _setting(connection, "log_bin"):
        lacking.append(f"{LOG_PRIVILEGES[0]} (replicas must not repeat the statements)")
    return f"user {account(connection)[0]!r} lacks {' and '.join(lacking)}" if lacking else ""


def _setting(connection: Connection, name: str) -> object:
    return connection.value(Statement(f"SELECT @@GLOBAL.{name}"))


def _plugin_folder(connection: Connection) -> Path:
    return Path(str(_setting(connection, "plugin_dir")))


def _is_here(connection: Connection) -> bool:
    """Whether the server runs on this machine; a container or a tunnel's end is another one."""
    if "unix_socket" in connection.url.options:
        return True
    return _setting(connection, "hostname") == socket.gethostname()


def _delete_files(connection: Connection, names: set[str]) -> None:
    """Delete libraries from the plugin folder; a server that has loaded one keeps it."""
    if _is_here(connection):
        for name in filter(_OURS.fullmatch, names):
            with suppress(OSError):
                (_plugin_folder(connection) / name).unlink()


def _refuse(connection: Connection, library: Library, reason: str) -> NoReturn:
    """Raise the error that names the commands for an administrator; write the files for them."""
    folder = PrivateAddress().folders.native
    folder.mkdir(parents=True, exist_ok=True)
    library.put(folder)
    file = folder / library.name
    script = file.with_suffix(".sql")
    creations = create_native(dict.fromkeys(NAMES, library.name))
    statements = [without_binary_log(), *drop_native(), *creations]
    script.write_text("".join(f"{each.sql};\n" for each in statements), encoding="utf-8")
    first, second, place = (shlex.quote(str(p)) for p in (file, script, _plugin_folder(connection)))
    copied = "" if _is_here(connection) else ", to which both files have to be copied"
    raise DatabaseError(
        f"the native functions cannot be installed: {reason}; have an administrator run on the "
        f"server's machine{copied}: install -m 644 {first} {place} && mysql < {second}"
    )
