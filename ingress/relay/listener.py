"""A listening TCP socket, reserved from the moment it is bound."""

import socket
from collections.abc import Callable

from core.clock import MILLISECOND
from ingress.relay.capacity import Capacity
from ingress.relay.loop import READ, Loop
from ingress.relay.sockets import tune_for_clients

BACKLOG = 1024
ACCEPTS = 64
"""Per turn."""
PAUSE = 50 * MILLISECOND
"""When no connection can be taken; clients wait in the backlog meanwhile."""


class Listener:
    """Gives each new, non-blocking socket to `accept`, which takes from `capacity`; none while that is full."""

    def __init__(
        self, loop: Loop, address: str, port: int, accept: Callable[[socket.socket], None], capacity: Capacity
    ) -> None:
        """Raises OSError if the port is taken. An empty address is all addresses."""
        self._loop = loop
        self._accept = accept
        self._capacity = capacity
        self._sock = _bound(address, port)
        self._listening = False
        self._closed = False
        self._watched = False

    def listen(self) -> None:
        """Raises OSError if another program has begun to listen on the port while we did not."""
        if not self._listening:
            self._sock.listen(BACKLOG)
            self._listening = True
            self._resume()

    def refuse(self) -> None:
        """Connections are refused from now on, but the port stays ours."""
        if self._listening:
            self._listening = False
            self._pause()
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        self._pause()
        self._sock.close()

    def ready(self, events: int) -> None:
        for _ in range(ACCEPTS):
            if self._capacity.full:
                break
            try:
                sock, _ = self._sock.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # the client has gone again
            except OSError:
                break  # out of files or memory
            sock.setblocking(False)
            self._accept(sock)
        else:
            return
        self._pause()
        self._loop.call_later(PAUSE, self._resume)

    def abort(self) -> None:
        """A connection that could not be handled is no reason to stop listening."""

    def _pause(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.unwatch(self._sock)

    def _resume(self) -> None:
        if self._listening and not self._closed and not self._watched:
            self._watched = True
            self._loop.watch(self._sock, READ, self)


def _bound(address: str, port: int) -> socket.socket:
    """Options set here are those of every accepted connection."""
    sock = _any_address(port) if not address else _one_address(address, port)
    sock.setblocking(False)
    tune_for_clients(sock)
    return sock


def _any_address(port: int) -> socket.socket:
    try:
        sock = socket.socket(socket.AF_INET6)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    except OSError:
        return _one_address("0.0.0.0", port)  # a kernel without IPv6  # noqa: S104
    return _bind(sock, "::", port)


def _one_address(address: str, port: int) -> socket.socket:
    return _bind(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET), address, port)


def _bind(sock: socket.socket, address: str, port: int) -> socket.socket:
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError:
        sock.close()
        raise
    return sock
