"""Connecting to an address without waiting for it."""

import errno
import os
import socket
from collections.abc import Callable

from core.clock import SECOND
from ingress.relay.loop import BROKEN, WRITE, Loop

DIAL_LIMIT = 2 * SECOND

Dialled = Callable[[socket.socket | None], None]
"""Given the connected, non-blocking socket, which the loop watches for WRITE, or None if nobody answers there."""


class Dial:
    """Calls `done` exactly once, later, unless it is cancelled first."""

    def __init__(self, loop: Loop, address: str, port: int, done: Dialled) -> None:
        self._loop = loop
        self._done: Dialled | None = done
        self._timer = loop.call_later(DIAL_LIMIT, self._fail)
        self._sock: socket.socket | None = None
        try:
            self._sock = _connecting(address, port)
        except OSError:  # no address, no way there, or no file left
            loop.at_end_of_turn(self._fail)
        else:
            loop.watch(self._sock, WRITE, self)

    def ready(self, events: int) -> None:
        if events & BROKEN:
            self._fail()
        else:
            self._timer.cancel()
            self._finish(self._sock)

    def abort(self) -> None:
        self._fail()

    def cancel(self) -> None:
        """Does nothing once `done` has been called."""
        if self._done is not None:
            self._done = None
            self._release()

    def _fail(self) -> None:
        self._release()
        self._finish(None)

    def _release(self) -> None:
        self._timer.cancel()
        if self._sock is not None:
            self._loop.discard(self._sock)

    def _finish(self, sock: socket.socket | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(sock)


def _connecting(address: str, port: int) -> socket.socket:
    """Raises OSError if that cannot even be begun."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        result = sock.connect_ex((address, port))
        if result not in (0, errno.EINPROGRESS):
            raise OSError(result, os.strerror(result))
    except OSError:
        sock.close()
        raise
    return sock
