"""The relay's end of the control socket: one daemon at a time is listened to, and nobody but its user's."""

import os
import socket
import struct
from collections import deque
from collections.abc import Callable

from core.errors import FailedPrecondition, InvalidArgument, PyswarmError
from ingress.control import LENGTH_SIZE, Message, body_length, pack, unpack
from ingress.relay.loop import READ, WRITE, Loop

MAX_CLIENTS = 8
MAX_UNSENT = 1024 * 1024
KEPT_EVENTS = 100
"""For the next daemon, while there is none."""

_CHUNK = 256 * 1024
_CREDENTIALS = struct.Struct("iII")

Answer = Callable[[Message], Message]


class ControlServer:
    """Answers calls with `answer`, which may raise PyswarmError."""

    def __init__(self, loop: Loop, path: str, answer: Answer) -> None:
        """Raises FailedPrecondition if another relay is served there."""
        self._loop = loop
        self._path = path
        self._answer = answer
        self._clients: set[_Client] = set()
        self._events: deque[Message] = deque(maxlen=KEPT_EVENTS)
        self._sock = _bound(path)
        loop.watch(self._sock, READ, self)

    def tell(self, event: Message) -> None:
        """To every daemon that listens; kept for the next one if none does."""
        if not self._clients:
            self._events.append(event)
        for client in tuple(self._clients):
            client.send(event)

    def ready(self, events: int) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS or not _same_user(sock):
            sock.close()
            return
        client = _Client(self._loop, sock, self._answer, self._clients.discard)
        self._clients.add(client)
        while self._events:
            client.send(self._events.popleft())

    def abort(self) -> None:
        """One connection that could not be accepted is no reason to stop listening."""

    def close(self) -> None:
        """What has been answered is still sent."""
        os.unlink(self._path)
        self._loop.discard(self._sock)
        for client in tuple(self._clients):
            client.finish()


class _Client:
    def __init__(self, loop: Loop, sock: socket.socket, answer: Answer, ended: Callable[["_Client"], None]) -> None:
        self._loop = loop
        self._sock = sock
        self._answer = answer
        self._ended = ended
        self._received = bytearray()
        self._unsent = b""
        self._closed = False
        sock.setblocking(False)
        loop.watch(sock, READ, self)

    def send(self, message: Message) -> None:
        if self._closed:
            return
        idle = not self._unsent
        self._unsent += pack(message)
        if idle:
            self._flush()
            if self._unsent and not self._closed:
                self._loop.change(self._sock, READ | WRITE)
        if len(self._unsent) > MAX_UNSENT:
            self.abort()

    def finish(self) -> None:
        self._flush()
        self.abort()

    def ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
            if not self._unsent and not self._closed:
                self._loop.change(self._sock, READ)
        if events & ~WRITE and not self._closed:
            self._receive()

    def abort(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.discard(self._sock)
            self._ended(self)

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.abort()
            return
        self._received += data
        try:
            while (message := self._next()) is not None and not self._closed:
                self.send(self._answered(message))
        except InvalidArgument:
            self.abort()  # whoever it is, it is no daemon of ours

    def _next(self) -> Message | None:
        if len(self._received) < LENGTH_SIZE:
            return None
        end = LENGTH_SIZE + body_length(bytes(self._received[:LENGTH_SIZE]))
        if len(self._received) < end:
            return None
        body = bytes(self._received[LENGTH_SIZE:end])
        del self._received[:end]
        return unpack(body)

    def _answered(self, message: Message) -> Message:
        try:
            return {"answer": self._answer(message)}
        except PyswarmError as error:
            return {"error": error.message}

    def _flush(self) -> None:
        try:
            while self._unsent and not self._closed:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            return
        except OSError:
            self.abort()


def _bound(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    if os.path.exists(path):
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise FailedPrecondition(f"another relay is controlled through {path}")
        os.unlink(path)
    mask = os.umask(0o177)
    try:
        sock.bind(path)
    finally:
        os.umask(mask)
    sock.listen(MAX_CLIENTS)
    return sock


def _same_user(sock: socket.socket) -> bool:
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(data)
    return user in (0, os.geteuid())
