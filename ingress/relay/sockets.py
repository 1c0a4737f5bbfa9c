"""Socket options in one place."""

import socket
import struct

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def tune_for_clients(sock: socket.socket) -> None:
    """For a listening socket, and so for every connection it accepts: nothing is held back for company, and a client
    that is gone is noticed in two minutes."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _keep_alive(sock, idle=60, interval=15, count=4)


def tune_for_relays(sock: socket.socket) -> None:
    """A host that is gone is noticed in ten seconds, whether or not anything is being sent."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    _keep_alive(sock, idle=4, interval=2, count=3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 10_000)


def reset_on_close(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _keep_alive(sock: socket.socket, idle: int, interval: int, count: int) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, count)
