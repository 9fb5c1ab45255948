"""The names of the package, each imported from its module when it is first used."""

from .attribute_files import read_attributes
from .collection import Collection
from .database import Database, connect
from .dialects import Statement
from .errors import (
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
from .export import export_sql
from .filters import Condition
from .functions import functions_sql
from .models import Model, load_model
from .query import Image, Mix, Query, Text
from .server import PrivateServer
from .shell import open_shell
from .types import (
    AddReport,
    AttributesReport,
    Calibration,
    CollectionRemoval,
    DuplicateGroup,
    DuplicateImage,
    Explanation,
    Failure,
    ImageRecord,
    IndexReport,
    KeepRule,
    Match,
    Metric,
    Orientations,
    Plan,
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
    "CollectionRemoval",
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
    "Orientations",
    "Plan",
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
    "open_shell",
    "read_attributes",
]
