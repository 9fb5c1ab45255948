"""The engines, in the order in which a server is probed for them."""

from lookalike.dialects.base import Dialect
from lookalike.dialects.mariadb import MariaDB
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.oceanbase import OceanBase
from lookalike.dialects.tidb import TiDB

DIALECTS: tuple[type[Dialect], ...] = (MySQLNative, MySQL, MariaDB, OceanBase, TiDB)
