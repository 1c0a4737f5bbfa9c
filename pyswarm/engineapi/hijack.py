"""A connection that is handed over whole: client and engine speak to each other past HTTP, in both directions, as
`exec -it`, `attach` and a build with BuildKit need it."""

import asyncio
from typing import Any

from aiohttp import web

from pyswarm.engineapi.engine import EngineGone, LocalEngine

_PROTOCOLS = ("tcp", "h2c")
"""What a connection may become: a bare one, or HTTP/2 without TLS, which is gRPC."""
_WRITTEN_ANEW = ("content-length", "transfer-encoding", "expect")
"""Headers of the request's body, which is sent in one piece."""


def wants_upgrade(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() in _PROTOCOLS


async def hand_over(request: web.Request, engine: LocalEngine, path: str) -> web.StreamResponse:
    """Until one side has left. What the engine answers, an error too, goes to the client as it is.

    A client waits for that answer before it says more, as docker does: what comes in one piece with its request, the
    HTTP server has thrown away. Raises EngineGone.
    """
    body, to_client = await request.read(), request.transport
    if to_client is None:
        raise ConnectionResetError("the client went away")
    # What the client says from now on is not the HTTP server's to read.
    to_client.pause_reading()
    try:
        to_engine, server = await engine.connect(lambda: _Side(to_client))
    except EngineGone:
        to_client.resume_reading()
        raise
    client = _Client(to_engine, request.protocol)
    try:
        to_engine.write(_head(request, path, len(body)) + body)
        to_client.set_protocol(client)
        to_client.resume_reading()
        await asyncio.wait([client.lost, server.lost])
    finally:
        to_engine.close()
        to_client.close()
    return web.Response()


def _head(request: web.Request, path: str, length: int) -> bytes:
    lines = [f"{request.method} {path} HTTP/1.1".encode()]
    lines += [b"%b: %b" % pair for pair in request.raw_headers if pair[0].decode().lower() not in _WRITTEN_ANEW]
    return b"\r\n".join([*lines, b"Content-Length: %d" % length, b"", b""])


class _Side(asyncio.Protocol):
    """What comes from one end goes to `peer`, no faster than that takes it."""

    def __init__(self, peer: asyncio.Transport) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._peer = peer

    def data_received(self, data: bytes) -> None:
        self._peer.write(data)

    def pause_writing(self) -> None:
        if not self._peer.is_closing():
            self._peer.pause_reading()

    def resume_writing(self) -> None:
        if not self._peer.is_closing():
            self._peer.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """What is still on its way to the other end is sent first."""
        self._peer.close()
        if not self.lost.done():
            self.lost.set_result(None)


class _Client(_Side):
    """In the place of the HTTP server's own protocol, `former`, which hears only of the connection's end."""

    def __init__(self, peer: asyncio.Transport, former: Any) -> None:
        super().__init__(peer)
        self._former = former

    def eof_received(self) -> bool:
        """The client has nothing more to say (its standard input has ended), but still listens."""
        if not self._peer.is_closing():
            self._peer.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._former.connection_lost(exc)
