"""Intent to SQL: each dialect's methods return (sql, params) and touch no server."""

from lookalike.dialects.base import Dialect, Statement, StoredFile, quote_name
from lookalike.dialects.literals import literal
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative

__all__ = ["Dialect", "MySQL", "MySQLNative", "Statement", "StoredFile", "literal", "quote_name"]
