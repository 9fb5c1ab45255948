"""Intent to SQL: each dialect's methods return (sql, params) and touch no server."""

from lookalike.dialects.base import Dialect
from lookalike.dialects.files_sql import FailedFile, StoredFile
from lookalike.dialects.index_sql import CodeRow, Probe, Shortlist
from lookalike.dialects.literals import literal
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.statements import Statement, quote_name

__all__ = [
    "CodeRow",
    "Dialect",
    "FailedFile",
    "MySQL",
    "MySQLNative",
    "Probe",
    "Shortlist",
    "Statement",
    "StoredFile",
    "literal",
    "quote_name",
]
