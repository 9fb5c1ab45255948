"""Where the private server listens. Kept small: every command imports it."""

import os
from functools import cached_property
from pathlib import Path
from socket import socket as Socket
from urllib.parse import quote

from lookalike.server.dial import dial
from lookalike.server.engine import ENGINES, engine_named
from lookalike.server.folders import Folders

USER = "root"
DATABASE = "lookalike"


class PrivateAddress:
    """The address of one user's private server, whether it runs or not.

    Args:
        home: The home folder. By default the LOOKALIKE_HOME variable, or else the user's data
            folder.
        engine: "mysql" or "mariadb"; each has a server of its own.

    Attributes:
        home: The folder of the engine's files: the home folder itself, or one in it.
    """

    def __init__(self, home: Path | None = None, *, engine: str = "mysql") -> None:
        self.engine = engine_named(engine)
        chosen = home or os.environ.get("LOOKALIKE_HOME") or _user_data()
        self.home = Path(chosen, self.engine.folder).expanduser().resolve()

    @cached_property
    def folders(self) -> Folders:
        """The paths inside the home folder."""
        return Folders(self.home, self.engine)

    @property
    def socket(self) -> Path:
        """The path of the server's socket; if the home path is long, the first start changes it."""
        return self.folders.socket

    @property
    def url(self) -> str:
        """The server's URL, which contains the socket's path."""
        path = quote(os.fsencode(self.socket))
        return f"{self.engine.name}://{USER}@localhost/{DATABASE}?unix_socket={path}"

    def dial(self) -> Socket:
        """Connect to the socket, and check that this user's own server listens there.

        Raises:
            OSError: Nothing listens.
            ServerError: Another user's server does, or could.
        """
        return dial(self.folders)


def private_of(url: str | None) -> PrivateAddress | None:
    """Return the private server that a URL stands for: none at all, or a scheme alone."""
    if not url:
        return PrivateAddress()
    scheme, sign, rest = str(url).partition("://")
    return PrivateAddress(engine=scheme) if sign and not rest and scheme in ENGINES else None


def private_at(socket: str | None) -> PrivateAddress | None:
    """Return the private server whose socket has a path, whether it runs or not."""
    if socket:
        for private in (PrivateAddress(engine=name) for name in ENGINES):
            if socket == str(private.socket):
                return private
    return None


def _user_data() -> Path:
    import platformdirs

    return platformdirs.user_data_path(DATABASE)
