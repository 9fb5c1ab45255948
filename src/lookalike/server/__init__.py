"""Install, start and stop a private MySQL server for one user."""

from lookalike.server.private import PrivateServer, ServerStatus

__all__ = ["PrivateServer", "ServerStatus"]
