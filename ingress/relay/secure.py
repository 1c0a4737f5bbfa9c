"""TLS on a non-blocking socket: OpenSSL works in memory, so that many frames share a record and a system call."""

import socket
import ssl
from collections.abc import Callable
from typing import Protocol, cast

from ingress.relay.loop import READ, WRITE, Loop
from ingress.relay.tls import Engine

_RECEIVED = memoryview(bytearray(256 * 1024))
_PLAIN = memoryview(bytearray(512 * 1024))
"""Shared by all connections: what is not consumed is copied out before anything else is read."""


class Owner(Protocol):
    def established(self, connection: ssl.SSLObject) -> None:
        """The other side has shown a certificate that the cluster's root signed, and proved that it has its key."""
        ...

    def received(self, data: memoryview) -> int:
        """Returns how much of `data` was used; the rest is shown again, with more behind it."""
        ...

    def writable(self) -> None:
        """Everything written has left."""
        ...

    def lost(self, reason: str) -> None:
        """The connection has ended, other than by `close`."""
        ...


class SecureSocket:
    """Owns `sock`, which is connected, non-blocking and not watched yet."""

    def __init__(self, loop: Loop, sock: socket.socket, engine: Engine, owner: Owner) -> None:
        self._loop = loop
        self._sock = sock
        self._engine = engine
        self._owner = owner
        self._established = False
        self._closed = False
        self._unused = b""
        self._unsent = memoryview(b"")
        loop.watch(sock, READ, self)

    @property
    def can_write(self) -> bool:
        """False while the handshake or the network is behind; `Owner.writable` tells when that is over."""
        return self._established and not self._unsent and not self._closed

    def start(self) -> None:
        """The side that connected speaks first."""
        self._handshake()

    def write(self, *plain: bytes | memoryview) -> None:
        for data in plain:
            self._engine.tls.write(data)
        self._send()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.discard(self._sock)

    def abort(self) -> None:
        self._fail("internal error")

    def ready(self, events: int) -> None:
        if events & WRITE:
            self._send()
            if not self._unsent and not self._closed:
                self._loop.change(self._sock, READ)
                self._owner.writable()
        if events & ~WRITE and not self._closed:
            self._receive()

    def _receive(self) -> None:
        try:
            count = self._sock.recv_into(_RECEIVED)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(str(error))
            return
        if not count:
            self._fail("closed by the other side")
            return
        self._engine.incoming.write(_RECEIVED[:count])
        if not self._established:
            self._handshake()
        if self._established and not self._closed:
            self._decrypt()

    def _handshake(self) -> None:
        try:
            self._engine.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except ssl.SSLError as error:
            self._send()
            self._fail(_reason(error))
            return
        self._send()
        if not self._closed:
            self._established = True
            self._owner.established(self._engine.tls)

    def _decrypt(self) -> None:
        end = len(self._unused)
        _PLAIN[:end] = self._unused
        incoming = self._engine.incoming
        # What the ssl module's types leave out: with a buffer to fill, `read` returns how much it filled.
        read = cast(Callable[[int, memoryview], int], self._engine.tls.read)
        problem = ""
        while incoming.pending and end < len(_PLAIN):
            try:
                count = read(len(_PLAIN) - end, _PLAIN[end:])
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                problem = _reason(error)
                break
            if not count:
                problem = "closed by the other side"
                break
            end += count
        used = self._owner.received(_PLAIN[:end])
        if self._closed:
            return
        self._unused = bytes(_PLAIN[used:end])
        if problem:
            self._fail(problem)

    def _send(self) -> None:
        if self._closed:
            return
        data = self._unsent or memoryview(self._engine.outgoing.read())
        try:
            sent = self._sock.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._fail(str(error))
            return
        self._watch_if_behind(data[sent:])

    def _watch_if_behind(self, unsent: memoryview) -> None:
        if unsent and not self._unsent:
            self._loop.change(self._sock, READ | WRITE)
        self._unsent = unsent

    def _fail(self, reason: str) -> None:
        if not self._closed:
            self.close()
            self._owner.lost(reason)


def _reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    return error.reason or str(error)
