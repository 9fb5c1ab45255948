"""Connect to the private server's socket, and to no other user's server."""

import os
import socket
import struct
import sys

from lookalike.core.errors import ServerError
from lookalike.server.folders import Folders, check_private

TIMEOUT = 10.0  # seconds

# macOS, <sys/un.h> and <sys/ucred.h>: a version, the user, the groups
_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES = 0, 1, 76


def dial(folders: Folders) -> socket.socket:
    """Connect to the private server, and return the socket once its owner is verified.

    The owner is read from the connection itself, which then carries all data. So nobody can swap
    the server between check and use, as they could if the path were opened again. Raises OSError if
    nothing listens, and ServerError if another user's server does, or could.
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
    """Return the user id of the process that listens at the other end of a unix socket."""
    if sys.platform == "linux":
        size = struct.calcsize("iII")  # a process, its user and its group
        credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    else:
        credentials = connected.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES)
    (user,) = struct.unpack_from("I", credentials, struct.calcsize("I"))
    return int(user)
