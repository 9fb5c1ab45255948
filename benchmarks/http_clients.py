"""Clients that send prepared HTTP requests over kept connections, in one thread."""

import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Answers:
    """Statuses and seconds of all answers."""

    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def count(self, status: int, seconds: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.seconds.append(seconds)


class Client:
    """A connection that sends the requests of a list, one after the other, from a given one on."""

    def __init__(self, address: tuple[str, int], requests: list[bytes], first: int) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests, self._next = requests, first
        self._begun, self._got, self._length, self._status = 0.0, bytearray(), -1, 0

    def send(self) -> None:
        """Send the next request."""
        self._begun, self._got, self._length = time.perf_counter(), bytearray(), -1
        self.socket.sendall(self._requests[self._next % len(self._requests)])
        self._next += 1

    def receive(self, answers: Answers) -> bool:
        """Read what has come; return whether the answer is complete."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError("the server closed the connection")
        self._got += part
        if self._length < 0 and (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end]).lower()
            self._status = int(head[9:12])
            self._length = end + 4 + int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        if self._length < 0 or len(self._got) < self._length:
            return False
        answers.count(self._status, time.perf_counter() - self._begun)
        return True


def request_of(path: str, token: str, body: bytes, content_type: str) -> bytes:
    """Return the bytes of a POST."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def load(port: int, requests: list[bytes], *, clients: int, seconds: float) -> Answers:
    """Let clients send requests for so many seconds, each as soon as it has its answer."""
    answers, selector = Answers(), selectors.DefaultSelector()
    every = [Client(("127.0.0.1", port), requests, 7 * number) for number in range(clients)]
    for client in every:
        client.send()
        selector.register(client.socket, selectors.EVENT_READ, client)
    end = time.perf_counter() + seconds
    while selector.get_map():
        for key, _ in selector.select():
            client = key.data
            if client.receive(answers):
                if time.perf_counter() < end:
                    client.send()
                else:
                    selector.unregister(client.socket)
                    client.socket.close()
    return answers
