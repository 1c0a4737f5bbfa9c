"""A leg that is a TCP connection: to a client, or to a container of this node."""

import socket
from collections import deque

from ingress.relay.leg import Ended, Leg, end
from ingress.relay.loop import READ, WRITE, Loop
from ingress.relay.sockets import reset_on_close

CHUNK = 64 * 1024
"""What is read at once, and at most kept for a leg whose other side is a TCP leg too."""

_buffer = memoryview(bytearray(CHUNK))
"""Shared by all legs: what is read is passed on, or copied, before anything else is read."""


class TcpLeg:
    """Owns `sock`, which is connected and non-blocking."""

    __slots__ = ("_ended", "_events", "_finished", "_finishing", "_loop", "_pending", "_saw_end", "_sock", "_under_way",
                 "on_ended", "other")

    def __init__(self, loop: Loop, sock: socket.socket, watched: int | None = None) -> None:
        """`watched` is what the loop watches the socket for already; None if it does not."""
        self._loop = loop
        self._sock = sock
        self._events = watched
        if watched is not None:
            loop.hand_over(sock, self)
        self._pending: deque[memoryview] = deque()
        self._under_way = 0
        """Bytes read here that have not left through the other leg; nothing is read meanwhile."""
        self._saw_end = False
        self._finishing = False
        self._finished = False
        self._ended = False
        self.other: Leg | None = None
        self.on_ended: Ended | None = None

    def start(self) -> None:
        self._watch()

    def ready(self, events: int) -> None:
        if events & WRITE:
            self._flush()
        if events & ~WRITE and not self._ended:
            if self._saw_end:
                self._fail()
            else:
                self._read()

    def write(self, data: memoryview) -> int:
        if self._ended:
            return len(data)
        sent = 0
        if not self._pending:
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._fail()
                return len(data)
        if sent < len(data):
            self._pending.append(memoryview(bytes(data[sent:])))
            self._watch()
        return sent

    def passed_on(self, count: int) -> None:
        self._under_way -= count
        if not self._under_way and not self._ended:
            self._watch()

    def finish(self) -> None:
        self._finishing = True
        if not self._pending:
            self._shut()

    def abort(self) -> None:
        if not self._ended:
            reset_on_close(self._sock)
            self._end()

    def _read(self) -> None:
        other = self.other
        assert other is not None
        try:
            count = self._sock.recv_into(_buffer)
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        if count:
            held = count - other.write(_buffer[:count])
            if held:
                self._under_way += held
                self._watch()
            return
        self._saw_end = True
        if self._finished:
            self._end()
        else:
            self._watch()
        other.finish()

    def _flush(self) -> None:
        while self._pending:
            data = self._pending[0]
            try:
                sent = self._sock.send(data)
            except BlockingIOError:
                return
            except OSError:
                self._fail()
                return
            if sent == len(data):
                self._pending.popleft()
            else:
                self._pending[0] = data[sent:]
            if self.other is not None:
                self.other.passed_on(sent)
        self._watch()
        if self._finishing and not self._finished:
            self._shut()

    def _shut(self) -> None:
        if self._ended:
            return
        self._finished = True
        if self._saw_end:
            self._end()
            return
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._fail()

    def _fail(self) -> None:
        other = self.other
        self.abort()
        if other is not None:
            other.abort()

    def _end(self) -> None:
        self._ended = True
        self._loop.discard(self._sock)
        end(self)

    def _watch(self) -> None:
        """Tells the loop what to watch for.

        A leg that holds back is not watched at all: the loop would report a broken connection over and over, though
        what it brought before it broke is still to be read.
        """
        reading = not self._saw_end and not self._under_way
        events = (READ if reading else 0) | (WRITE if self._pending else 0)
        if events == self._events or self._ended:
            return
        if not events and not self._saw_end:
            if self._events is not None:
                self._loop.unwatch(self._sock)
            self._events = None
        elif self._events is None:
            self._loop.watch(self._sock, events, self)
            self._events = events
        else:
            self._loop.change(self._sock, events)
            self._events = events
