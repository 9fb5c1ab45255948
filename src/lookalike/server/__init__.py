"""The private MySQL server: installed, started and stopped for one user."""

from lookalike.server.private import PrivateServer, ServerStatus

__all__ = ["PrivateServer", "ServerStatus"]
