"""The engines, in the order in which a server is probed for them."""

from lookalike.dialects.base import Dialect
from lookalike.dialects.mariadb import MariaDB
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative

DIALECTS: tuple[type[Dialect], ...] = (MySQLNative, MySQL, MariaDB)
