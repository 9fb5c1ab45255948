"""MySQL Community 9: a VECTOR type, but no function to compare vectors."""

from lookalike.dialects.base import Dialect


class MySQL(Dialect):
    """Stock MySQL: the client ranks embeddings."""

    name = "mysql"
