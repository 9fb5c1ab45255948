"""SQL dialects: each method returns a Statement (sql, params) and contacts no server."""

from lookalike.dialects.base import Dialect
from lookalike.dialects.literals import is_utf8, literal
from lookalike.dialects.primitives import Lock
from lookalike.dialects.statement import (
    Statement,
    copy_of,
    generation_comment,
    generation_of,
    is_name,
    is_reserved,
    quote_name,
)
from lookalike.dialects.table import Source, Table
from lookalike.dialects.tables.attributes import (
    ATTRIBUTE_NAME,
    JSON_TYPES,
    MAX_TEXT,
    NAME_RULE,
    Attribute,
    Kind,
    attribute_index,
)
from lookalike.dialects.tables.browsing import Order
from lookalike.dialects.tables.collections import (
    COLLECTION_COLUMNS,
    ONLY_SPREAD,
    SIDE_TABLES,
    WITH_FOREIGN_KEY,
)
from lookalike.dialects.tables.copying import PARTS, Part, Span
from lookalike.dialects.tables.duplicates import StoredThumbnail
from lookalike.dialects.tables.facts import StoredFacts
from lookalike.dialects.tables.files import MAX_PATH, FailedFile, StoredFile
from lookalike.dialects.tables.filters import (
    FOLDER,
    IMAGE_NAME,
    MODIFIED,
    PATH,
    SUFFIX,
    AnyClause,
    Clause,
    Comparison,
    Filter,
)
from lookalike.dialects.tables.index import CellRow, CodeRow, IndexState
from lookalike.dialects.tables.layouts import (
    COPIED_NOTES,
    INDEXES,
    KEYS,
    LAYOUT,
    MEASURED_NOTES,
    OF_ONE_NAME,
    REGISTRY,
    SCHEMA_TABLE,
    SHARED_TABLES,
)
from lookalike.dialects.tables.memory import About, ComparedRow
from lookalike.dialects.tables.removal import KeptColumn
from lookalike.dialects.tables.search import Probe, Shortlist
from lookalike.dialects.tables.shards import ANSWERS, check_shards
from lookalike.dialects.tables.user_tables import (
    EVENTS,
    MAPPED_ID,
    USER_TABLES,
    Column,
    Kept,
    UserTable,
    trigger_name,
)
from lookalike.dialects.tables.versions import Version

__all__ = [
    "ANSWERS",
    "ATTRIBUTE_NAME",
    "COLLECTION_COLUMNS",
    "COPIED_NOTES",
    "EVENTS",
    "FOLDER",
    "IMAGE_NAME",
    "INDEXES",
    "JSON_TYPES",
    "KEYS",
    "LAYOUT",
    "MAPPED_ID",
    "MAX_PATH",
    "MAX_TEXT",
    "MEASURED_NOTES",
    "MODIFIED",
    "NAME_RULE",
    "OF_ONE_NAME",
    "ONLY_SPREAD",
    "PARTS",
    "PATH",
    "REGISTRY",
    "SCHEMA_TABLE",
    "SHARED_TABLES",
    "SIDE_TABLES",
    "SUFFIX",
    "USER_TABLES",
    "WITH_FOREIGN_KEY",
    "About",
    "AnyClause",
    "Attribute",
    "CellRow",
    "Clause",
    "CodeRow",
    "Column",
    "ComparedRow",
    "Comparison",
    "Dialect",
    "FailedFile",
    "Filter",
    "IndexState",
    "Kept",
    "KeptColumn",
    "Kind",
    "Lock",
    "Order",
    "Part",
    "Probe",
    "Shortlist",
    "Source",
    "Span",
    "Statement",
    "StoredFacts",
    "StoredFile",
    "StoredThumbnail",
    "Table",
    "UserTable",
    "Version",
    "attribute_index",
    "check_shards",
    "copy_of",
    "generation_comment",
    "generation_of",
    "is_name",
    "is_reserved",
    "is_utf8",
    "literal",
    "quote_name",
    "trigger_name",
]
