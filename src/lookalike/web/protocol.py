"""HTTP connections that end when their client is slow, or sends more than a request may have."""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lookalike.web.problems import MEDIA_TYPE, Problem

_HEAD_BYTES = 131_072


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits that it lacks; they hold before any token is known.

    The head of a request has a limit of time and size, as have headers after a body; a client that
    was answered early has as long to send the rest of its request; and one that reads nothing of
    its answer does not keep its connection.
    """

    head_seconds = 10.0
    stall_seconds = 60.0
    most_connections = 1000

    _timer: TimerHandle | None = None
    _stall: TimerHandle | None = None
    _is_whole = True
    _has_body = False
    _bare_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:  # more would use up the open files
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        self._has_body = False
        super().data_received(data)
        if self._has_body or self._is_whole:
            return
        self._bare_bytes += len(data)
        if self._bare_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The headers of the request are too large.")

    def send_400_response(self, msg: str) -> None:
        detail = f"{msg.rstrip('.')}; a URL and the headers have at most 64 kB each"
        content = bytes(Problem(400, detail).response().body)
        head = (
            f"HTTP/1.1 400 Bad Request\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n"
            "x-content-type-options: nosniff\r\n\r\n"
        )
        self.transport.write(head.encode() + content)
        self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_whole, self._bare_bytes = False, 0
        self._wait()

    def on_headers_complete(self) -> None:
        self._cancel()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_body = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_whole = True
        self._cancel()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_whole:
            self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._look_later()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._look_no_more()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        self._look_no_more()
        super().connection_lost(exc)

    def _wait(self) -> None:
        """Close the connection, unless what is awaited arrives in time."""
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.head_seconds, self._close)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _look_later(self) -> None:
        self._look_no_more()
        waiting = self.transport.get_write_buffer_size()
        self._stall = self.loop.call_later(self.stall_seconds, self._look, waiting)

    def _look(self, waiting: int) -> None:
        """End the connection if its client has read nothing since."""
        if self.transport.get_write_buffer_size() >= waiting:
            self.transport.abort()
        else:
            self._look_later()

    def _look_no_more(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
