"""The public names, each imported on first use."""

from .attributes.conditions import AnyOf, Condition
from .attributes.files import read_attributes
from .borrowing import BorrowedDatabase, borrow
from .client import Database, connect
from .collection.collection import Collection
from .collection.documents import Document
from .collection.export import export_sql
from .collection.items import Item
from .collection.matches import Matches
from .core.cluster import RayCluster
from .core.errors import (
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
from .core.removals import RemovalReport, Removed, RemovedFile, RestoreReport
from .core.reports import (
    AddReport,
    AttributesReport,
    AttributeStatus,
    ClusterMember,
    CollectionCopy,
    CollectionRemoval,
    HeldStatus,
    IndexReport,
    IndexStatus,
    Run,
    Status,
    StoredFailure,
)
from .core.types import (
    Calibration,
    DuplicateGroup,
    DuplicateImage,
    Explanation,
    Failure,
    ImageRecord,
    IndexKind,
    IndexSizes,
    KeepRule,
    Match,
    Metric,
    Orientations,
    Plan,
    Screening,
    Step,
    StoredFile,
    Tier,
    ValueCount,
)
from .database.errors import MissingTable
from .database.functions import functions_sql
from .database.mysql_ai import mysql_ai_sql
from .dialects import Statement
from .index.holding import HeldIndex
from .models.base import Model
from .models.registry import load_model
from .pipeline.image_decoder import ImageDecoder
from .search.query import Image, Mix, Query, StoredImage, Text
from .server.private import PrivateServer
from .shell import open_shell

__version__: str

__all__ = [
    "AddReport",
    "AnyOf",
    "AttributeStatus",
    "AttributesReport",
    "BorrowedDatabase",
    "Calibration",
    "ClusterMember",
    "Collection",
    "CollectionCopy",
    "CollectionRemoval",
    "Condition",
    "ConnectionFailed",
    "Database",
    "DatabaseError",
    "Document",
    "DuplicateGroup",
    "DuplicateImage",
    "EmbeddingError",
    "Explanation",
    "Failure",
    "HeldIndex",
    "HeldStatus",
    "Image",
    "ImageDecoder",
    "ImageError",
    "ImageRecord",
    "IndexKind",
    "IndexReport",
    "IndexSizes",
    "IndexStatus",
    "InputError",
    "Item",
    "KeepRule",
    "LookalikeError",
    "Match",
    "Matches",
    "Metric",
    "MissingExtra",
    "MissingTable",
    "Mix",
    "Model",
    "ModelError",
    "Orientations",
    "Plan",
    "PrivateServer",
    "Query",
    "RayCluster",
    "RemovalReport",
    "Removed",
    "RemovedFile",
    "RestoreReport",
    "Run",
    "Screening",
    "ServerError",
    "Statement",
    "Status",
    "Step",
    "StoredFailure",
    "StoredFile",
    "StoredImage",
    "Text",
    "Tier",
    "UnsupportedServer",
    "ValueCount",
    "borrow",
    "connect",
    "export_sql",
    "functions_sql",
    "load_model",
    "mysql_ai_sql",
    "open_shell",
    "read_attributes",
]
