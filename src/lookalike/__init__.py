"""Image similarity search that lives inside MySQL."""

from lookalike.attribute_files import read_attributes
from lookalike.collection import Collection
from lookalike.database import Database, connect
from lookalike.dialects import Statement
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
from lookalike.export import export_sql
from lookalike.filters import Condition
from lookalike.models import Model, load_model
from lookalike.query import Image, Mix, Query, Text
from lookalike.schema import functions_sql
from lookalike.server import PrivateServer
from lookalike.types import (
    AddReport,
    AttributesReport,
    Calibration,
    DuplicateGroup,
    DuplicateImage,
    Explanation,
    Failure,
    ImageRecord,
    IndexReport,
    KeepRule,
    Match,
    Metric,
    RemovalReport,
    RemovedFile,
    Run,
    Screening,
    Status,
    Step,
    StoredFailure,
    Tier,
)

__all__ = [
    "AddReport",
    "AttributesReport",
    "Calibration",
    "Collection",
    "Condition",
    "ConnectionFailed",
    "Database",
    "DatabaseError",
    "DuplicateGroup",
    "DuplicateImage",
    "EmbeddingError",
    "Explanation",
    "Failure",
    "Image",
    "ImageError",
    "ImageRecord",
    "IndexReport",
    "InputError",
    "KeepRule",
    "LookalikeError",
    "Match",
    "Metric",
    "MissingExtra",
    "Mix",
    "Model",
    "ModelError",
    "PrivateServer",
    "Query",
    "RemovalReport",
    "RemovedFile",
    "Run",
    "Screening",
    "ServerError",
    "Statement",
    "Status",
    "Step",
    "StoredFailure",
    "Text",
    "Tier",
    "UnsupportedServer",
    "connect",
    "export_sql",
    "functions_sql",
    "load_model",
    "read_attributes",
]
