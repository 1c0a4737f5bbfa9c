"""A leg that is a TCP connection: to a client, or to a container of this node."""

import socket
from collections import deque

from ingress.relay.leg import Ended, Leg, end
from ingress.relay.loop import READ, WRITE, Loop
from ingress.relay.pipe import Pipe
from ingress.relay.sockets import reset_on_close

CHUNK = 64 * 1024
"""What is read at once, and at most kept for a leg whose other side is a TCP leg too."""
BULK_CHUNKS = 4
"""After so many full chunks in a row, what goes to another TCP leg goes through a pipe."""

_buffer = memoryview(bytearray(CHUNK))
"""Shared by all legs: what is read is passed on, or copied, before anything else is read."""


class TcpLeg:
    """Owns `sock`, which is connected and non-blocking."""

    __slots__ = (
        "_ended",
        "_events",
        "_finished",
        "_finishing",
        "_full_chunks",
        "_inflow",
        "_loop",
        "_pending",
        "_saw_end",
        "_sock",
        "_under_way",
        "on_ended",
        "other",
    )

    def __init__(self, loop: Loop, sock: socket.socket, watched: int | None = None) -> None:
        """`watched` is what the loop watches the socket for already; None if it does not."""
        self._loop = loop
        self._sock = sock
        self._events = watched
        if watched is not None:
            loop.hand_over(sock, self)
        self._pending: deque[memoryview] = deque()
        self._inflow: Pipe | None = None
        """What the other leg has put into it is written after `_pending`, to which nothing is added then."""
        self._under_way = 0
        """Bytes read here that have not left through the other leg; nothing is read meanwhile."""
        self._full_chunks = 0
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

    def pour(self, source: socket.socket) -> tuple[int, int]:
        """As if what `source` brings were read, and given to `write`: how much that was, and how much of it has left.

        Raises OSError, BlockingIOError as reading would.
        """
        pipe = self._inflow
        assert pipe is not None
        count = pipe.fill(source)
        if self._pending:
            return count, 0
        try:
            passed = pipe.drain(self._sock)
        except OSError:
            self._fail()
            return count, count
        if passed < count:
            self._watch()
        return count, passed

    def passed_on(self, count: int) -> None:
        self._under_way -= count
        if not self._under_way and not self._ended:
            self._watch()

    def finish(self) -> None:
        self._finishing = True
        if not self._holds:
            self._shut()

    def abort(self) -> None:
        if not self._ended:
            reset_on_close(self._sock)
            self._end()

    def open_inflow(self) -> bool:
        """Whether `pour` may be called instead of `write` from now on."""
        if self._inflow is None:
            try:
                self._inflow = Pipe()
            except OSError:
                return False
        return True

    @property
    def _holds(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self._pending) or (self._inflow is not None and self._inflow.held > 0)

    def _read(self) -> None:
        other = self.other
        assert other is not None
        try:
            if self._full_chunks == BULK_CHUNKS and isinstance(other, TcpLeg) and other.open_inflow():
                count, passed = other.pour(self._sock)
            else:
                count = self._sock.recv_into(_buffer)
                passed = other.write(_buffer[:count]) if count else 0
                self._full_chunks = self._full_chunks + 1 if count == CHUNK else 0
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        if not count:
            self._on_end(other)
        elif passed < count:
            self._under_way += count - passed
            self._watch()

    def _on_end(self, other: Leg) -> None:
        self._saw_end = True
        if self._finished:
            self._end()
        else:
            self._watch()
        other.finish()

    def _flush(self) -> None:
        try:
            while self._pending:
                data = self._pending[0]
                sent = self._sock.send(data)
                if sent == len(data):
                    self._pending.popleft()
                else:
                    self._pending[0] = data[sent:]
                self._tell_other(sent)
            if self._inflow is not None:
                self._tell_other(self._inflow.drain(self._sock))
        except BlockingIOError:
            return
        except OSError:
            self._fail()
            return
        self._watch()
        if self._finishing and not self._finished and not self._holds:
            self._shut()

    def _tell_other(self, count: int) -> None:
        if self.other is not None and count:
            self.other.passed_on(count)

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
        if self._inflow is not None:
            self._inflow.close()
            self._inflow = None
        end(self)

    def _watch(self) -> None:
        """Tells the loop what to watch for.

        A leg that holds back is not watched at all: the loop would report a broken connection over and over, though
        what it brought before it broke is still to be read.
        """
        reading = not self._saw_end and not self._under_way
        events = (READ if reading else 0) | (WRITE if self._holds else 0)
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
