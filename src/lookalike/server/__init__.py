"""The private MySQL server: installed, started and stopped for one user."""

from lookalike.server.private import PrivateServer, ServerStatus
from lookalike.server.progress import Progress, silent

__all__ = ["PrivateServer", "Progress", "ServerStatus", "silent"]
