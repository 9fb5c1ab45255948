"""Intent to SQL: each dialect's methods return (sql, params) and touch no server."""

from lookalike.dialects.attributes_sql import (
    ATTRIBUTE_NAME,
    MAX_TEXT,
    NAME_RULE,
    Attribute,
    Clause,
    Comparison,
    Filter,
    Kind,
    attribute_index,
)
from lookalike.dialects.base import Dialect
from lookalike.dialects.collections_sql import COLLECTION_COLUMNS, SIDE_TABLES, WITH_FOREIGN_KEY
from lookalike.dialects.duplicates_sql import StoredLook
from lookalike.dialects.files_sql import MAX_PATH, FailedFile, StoredFile
from lookalike.dialects.index_sql import CodeRow, IndexState
from lookalike.dialects.layouts_sql import (
    INDEXES,
    KEYS,
    LAYOUT,
    REGISTRY,
    SCHEMA_TABLE,
    SHARED_TABLES,
)
from lookalike.dialects.literals import is_utf8, literal
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.search_sql import Probe, Shortlist
from lookalike.dialects.statements import (
    Statement,
    generation_comment,
    generation_of,
    is_name,
    quote_name,
)

__all__ = [
    "ATTRIBUTE_NAME",
    "COLLECTION_COLUMNS",
    "INDEXES",
    "KEYS",
    "LAYOUT",
    "MAX_PATH",
    "MAX_TEXT",
    "NAME_RULE",
    "REGISTRY",
    "SCHEMA_TABLE",
    "SHARED_TABLES",
    "SIDE_TABLES",
    "WITH_FOREIGN_KEY",
    "Attribute",
    "Clause",
    "CodeRow",
    "Comparison",
    "Dialect",
    "FailedFile",
    "Filter",
    "IndexState",
    "Kind",
    "MySQL",
    "MySQLNative",
    "Probe",
    "Shortlist",
    "Statement",
    "StoredFile",
    "StoredLook",
    "attribute_index",
    "generation_comment",
    "generation_of",
    "is_name",
    "is_utf8",
    "literal",
    "quote_name",
]
