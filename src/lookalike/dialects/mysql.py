"""MySQL Community 9: a VECTOR type, but no function that compares two vectors."""

from lookalike.dialects.base import Dialect


class MySQL(Dialect):
    """Stock MySQL: embeddings are ranked by the client."""

    name = "mysql"
