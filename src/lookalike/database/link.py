"""One connection to a server: its socket, its session's settings, and what the driver raises."""

import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions
from pymysql.cursors import Cursor, SSCursor
from pymysql.protocol import FieldDescriptorPacket, MysqlPacket

from lookalike.core.errors import (
    ConnectionFailed,
    DatabaseError,
    InputError,
    LookalikeError,
    UnsupportedServer,
)
from lookalike.core.vectors import pack
from lookalike.database.errors import UnknownCollation, UnknownVariable, too_large, translated
from lookalike.database.session import SESSIONS, SMALLEST_PACKET, Session
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement

Dial = Callable[[], socket.socket]

_VECTOR = 242
_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    FIELD_TYPE.TINY_BLOB: lambda value: np.frombuffer(value, "<f4"),
    np.ndarray: lambda value, _: f"x'{pack(value).hex()}'",
}


if TYPE_CHECKING:
    _Base = pymysql.Connection[Cursor]
else:
    _Base = pymysql.Connection  # generic in its types alone


class _Driver(_Base):
    """The driver's connection, which reads VECTOR values as bytes.

    PyMySQL does not know the type and would decode it as ASCII digits. Servers send TINY_BLOB for
    no column, so that code stands for it here.
    """

    def _read_packet(self, packet_type: Any = MysqlPacket) -> Any:
        packet = super()._read_packet(packet_type)  # type: ignore[no-untyped-call]
        if packet_type is FieldDescriptorPacket and packet.type_code == _VECTOR:
            packet.type_code = FIELD_TYPE.TINY_BLOB
        return packet


class _Stream(SSCursor):
    """The driver's cursor, except that it stops reading from a connection that is lost."""

    def close(self) -> None:
        self._leave_if_lost()
        try:
            super().close()
        finally:
            self._leave_if_lost()

    def _leave_if_lost(self) -> None:
        connection, result = self.connection, getattr(self, "_result", None)
        if result is not None and connection is not None and not connection.open:
            result.unbuffered_active = False


_READERS_OF_PARENTS: list[Any] = []


class Link:
    """One connection to a server, in autocommit mode outside transactions; one thread uses it.

    Its session has the settings of `session`, whatever the server's defaults are.

    Args:
        url: Where the database is.
        dial: Opens the socket, where it must be checked who listens there.
        timeout: Seconds to connect, and to wait for an answer; by default as the URL says, and for
            ever.

    Attributes:
        max_packet: The server's max_allowed_packet, in bytes; statements are shorter.
        is_changed: Whether its session may have a state of its own, and cannot be used again.
        locks: The statements that release the locks by name that it holds.
        at_commit: What its transaction calls last before it commits; None outside transactions.
        at_end: What its transaction calls when it has ended: with True where it was committed,
            False where it was rolled back, and None where that is not known.
    """

    def __init__(
        self, url: DatabaseURL, dial: Dial | None = None, *, timeout: float | None = None
    ) -> None:
        self.url = url
        self.max_packet = SMALLEST_PACKET
        self.is_changed = False
        self.locks: set[Statement] = set()
        self.at_commit: dict[tuple[str, str], Callable[[], None]] | None = None
        self.at_end: dict[tuple[str, str], Callable[[bool | None], None]] = {}
        self._is_streaming = False
        self.pid = os.getpid()
        self._connect(dial, timeout)

    def _connect(self, dial: Dial | None, timeout: float | None) -> None:
        arguments = self.url.driver_arguments()
        if timeout is not None:
            arguments |= dict.fromkeys(
                ("connect_timeout", "read_timeout", "write_timeout"), timeout
            )
        # As other clients send it; the driver would take Latin-1.
        arguments["password"] = self.url.password.encode()
        try:
            driver = _Driver(
                **arguments,
                charset="utf8mb4",
                autocommit=None,  # the driver would go by a flag that servers get wrong
                conv=_CONVERSIONS,
                defer_connect=True,
            )
            if dial:
                # As PyMySQL takes every unix socket that it opens itself; its types do not know it.
                vars(driver)["_secure"] = True
            driver.connect(dial() if dial else None)
            self._driver = driver
        except LookalikeError:  # of whoever dials
            raise
        except Exception as error:
            # Whatever the driver does not understand is no MySQL, or one that has just died.
            speaks = bool(error.args) and isinstance(error.args[0], int)
            raise translated(error, self.url, is_lost=not speaks) from error
        try:
            self._begin_session()
        except BaseException:
            self.close()
            raise

    def _begin_session(self) -> None:
        """Set what every statement relies on, and check that it holds."""
        session, values = self._set_session()
        found = session.differing(values)
        if found is not None:
            raise ConnectionFailed(
                f"{self.url} does not keep the settings of a session: {found}; "
                "have lookalike connect to the server itself, not through a proxy that changes it"
            )
        self.max_packet = int(values[-1])
        if self.max_packet < SMALLEST_PACKET:
            raise ConnectionFailed(
                f"{self.url} has max_allowed_packet = {self.max_packet}, too little for an "
                f"embedding: have an administrator SET PERSIST max_allowed_packet = 67108864"
            )

    def _set_session(self) -> tuple[Session, Sequence[Any]]:
        """Set the session and return its values. Raises UnsupportedServer if the server cannot."""
        missing: DatabaseError | None = None
        for session in SESSIONS:
            try:
                with self.errors(), self._driver.cursor() as cursor:
                    cursor.execute(*session.set())
                    cursor.execute(session.read().sql)
                    return session, cursor.fetchone() or ()
            except (UnknownVariable, UnknownCollation) as error:
                missing = missing or error
        with self.running(Statement("SELECT VERSION()")) as cursor:
            (version,) = cursor.fetchone()
        raise UnsupportedServer(
            f"{self.url} is version {version}, which lacks a setting of sessions ({missing}): "
            "use MySQL 9.0 or newer, or leave out the URL for the private MySQL",
            code=missing.code if missing else None,
        ) from missing

    def wait_for_ever(self) -> None:
        """Wait for answers as long as they take: the timeout was for connecting."""
        vars(self._driver).update(_read_timeout=None, _write_timeout=None)

    @property
    def is_mine(self) -> bool:
        """Whether this process opened it, and not one that it was forked from."""
        return self.pid == os.getpid()

    @property
    def is_open(self) -> bool:
        """Whether the connection is not known to be lost or closed."""
        return bool(self._driver.open)

    @property
    def is_streaming(self) -> bool:
        """Whether rows are left to read."""
        return self._is_streaming and self.is_open

    def is_quiet(self) -> bool:
        """Whether the server has neither closed nor written to the connection while it was idle."""
        sock = getattr(self._driver, "_sock", None)
        if sock is None:
            return False
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        return not waiting.poll(0)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        if not self.is_mine:
            self.abandon()
        elif self._driver.open:
            # A driver that is reading on in another thread may have closed it meanwhile.
            with suppress(pymysql.MySQLError, OSError):
                self._driver.close()

    def hang_up(self) -> None:
        """End it from another thread: what waits for an answer raises ConnectionLost."""
        sock = getattr(self._driver, "_sock", None)
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of TLS too: its own forgets more

    def abandon(self) -> None:
        """Close the socket and tell the server nothing: after a fork it is the parent's."""
        fields = vars(self._driver)
        # A thread of the parent's may have been reading, and holds the reader's lock for ever.
        _READERS_OF_PARENTS.append(fields.get("_rfile"))
        if (sock := fields.get("_sock")) is not None:
            os.close(sock.detach())
        fields["_sock"] = fields["_rfile"] = None

    @contextmanager
    def running(self, statement: Statement, *, is_stream: bool = False) -> Iterator[Any]:
        """Run a statement, and yield the driver's cursor on its result."""
        if self.is_streaming:
            raise InputError(
                "this connection is still reading rows in this thread: read them all or close "
                "their iterator first, or do not do it in the same transaction or session"
            )
        self._is_streaming = is_stream
        try:
            with self.errors(), self._driver.cursor(_Stream if is_stream else None) as cursor:
                # Without parameters a % in the statement is a % and no placeholder.
                sql = cursor.mogrify(statement.sql, statement.params or None)
                self._check_size(sql)
                cursor.execute(sql)
                yield cursor
        except (Exception, GeneratorExit):  # the latter where a stream is left
            raise
        except BaseException:  # interrupted between a statement and its answer
            self.close()
            raise
        finally:
            self._is_streaming = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block's statements, or on any exception none."""
        with self.errors():
            self._driver.begin()
        self.at_commit = {}
        is_committed, is_committing = cast(bool | None, None), False
        try:
            yield
            # In one order, so that no two transactions wait for each other's last locks.
            for _, finish in sorted(self.at_commit.items()):
                finish()
            is_committing = True
            with self.errors():
                self._driver.commit()
            is_committed = True
        except Exception:
            with suppress(DatabaseError), self.errors():
                self._driver.rollback()
                is_committed = None if is_committing else False
            raise
        except BaseException:
            # Interrupted between a statement and its answer; the server rolls back.
            self.close()
            raise
        finally:
            self.at_commit = None
            ends, self.at_end = list(self.at_end.values()), {}
            for end in ends:
                end(is_committed)

    def _check_size(self, sql: str) -> None:
        """Raise TooLarge for a statement that the server would hang up on."""
        room = self.max_packet - 2  # the packet begins with a byte for the command
        if 4 * len(sql) > room and (size := len(sql.encode())) > room:
            raise too_large(size, self.max_packet)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate the driver's errors; a connection that they say is lost is closed."""
        try:
            yield
        except UnicodeEncodeError as error:
            raise InputError(f"{error.object[:200]!r} is not UTF-8; rename it") from error
        except DatabaseError:
            raise
        except Exception as error:
            # Once the connection is lost the driver fails anywhere, and in any way.
            is_lost = not self._driver.open
            if not (is_lost or isinstance(error, pymysql.MySQLError | OSError)):
                raise
            explained = translated(error, self.url, is_lost=is_lost)
            if isinstance(explained, ConnectionFailed):
                self.close()
            raise explained from error
