"""MySQL Community 9: a VECTOR type, and nothing that compares two of them."""

from lookalike.dialects.base import Dialect


class MySQL(Dialect):
    """Stock MySQL: embeddings are ranked by the client."""

    name = "mysql"
