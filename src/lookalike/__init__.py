"""Image similarity search that lives inside MySQL."""

from lookalike.collection import Collection
from lookalike.database import Database, connect
from lookalike.errors import (
    ConnectionFailed,
    DatabaseError,
    EmbeddingError,
    ImageError,
    InputError,
    LookalikeError,
    MissingExtra,
    ModelError,
    ServerError,
    UnsupportedServer,
)
from lookalike.models import Model, load_model
from lookalike.server import PrivateServer
from lookalike.types import AddReport, Failure, ImageRecord, Match, Text

__all__ = [
    "AddReport",
    "Collection",
    "ConnectionFailed",
    "Database",
    "DatabaseError",
    "EmbeddingError",
    "Failure",
    "ImageError",
    "ImageRecord",
    "InputError",
    "LookalikeError",
    "Match",
    "MissingExtra",
    "Model",
    "ModelError",
    "PrivateServer",
    "ServerError",
    "Text",
    "UnsupportedServer",
    "connect",
    "load_model",
]
