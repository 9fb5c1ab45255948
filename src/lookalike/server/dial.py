"""Connecting to the private server's socket, and to nobody else's."""

import os
import socket
import struct
import sys

from lookalike.core.errors import ServerError
from lookalike.server.folders import Folders, check_private

TIMEOUT = 10.0  # seconds

# macOS, <sys/un.h> and <sys/ucred.h>: a version, the user, and the groups
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES = 0, 1, 76


def dial(folders: Folders) -> socket.socket:
    """Connects to the private server, and returns the socket once it is certain to be this user's.

    Who listens is asked of the connection itself, which then carries all that is sent: nobody can
    put another server in place between the check and its use, as for a path that is opened again.
    Raises OSError where nobody listens, and ServerError where somebody else does or could.
    """
    check_private(folders.run)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connected.settimeout(TIMEOUT)
        connected.connect(os.fspath(folders.socket))
        owner = peer(connected)
        if owner != os.geteuid():
            raise ServerError(
                f"the server on {folders.socket} is another user's (uid {owner}), not this user's "
                f"(uid {os.geteuid()}): end it, or set LOOKALIKE_HOME to another folder"
            )
    except BaseException:
        connected.close()
        raise
    return connected


def peer(connected: socket.socket) -> int:
    """The user of the process at the other end of a unix socket, when it began to listen."""
    if sys.platform == "linux":
        size = struct.calcsize("iII")  # a process, its user and its group
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    else:
        credentials = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
    (user,) = struct.unpack_from("I", credentials, struct.calcsize("I"))
    return int(user)
