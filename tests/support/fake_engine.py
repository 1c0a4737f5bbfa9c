"""An engine that a test plays: nothing is there until the test says so, and what is asked of it is remembered."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web


class FakeEngine:
    """On a unix socket. `answers` are JSON values by path, or bytes that are none."""

    def __init__(self, socket: Path) -> None:
        self.url = f"unix://{socket}"
        self.answers: dict[str, Any] = {}
        self.events: list[dict[str, Any]] = []
        self.asked: list[str] = []
        """`METHOD path?query body` of every request."""
        self.headers: set[str] = set()
        """Of the last request."""
        self.open = 0
        """Requests that are being answered."""
        self.silent = False
        """Whether it takes requests, and never answers them."""
        self.leaving = asyncio.Event()
        """Set when the engine is to end its streams."""
        self.echoes: set[asyncio.Transport] = set()
        """Connections that were taken over."""
        self._socket = socket

    def unreachable(self) -> None:
        self._socket.unlink()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FakeEngine"]:
        app = web.Application()
        app.router.add_get(r"/{version:(v[\d.]+/)?}events", self._tell_events)
        for taken_over in ("/exec/{id}/start", "/session", "/grpc"):
            app.router.add_post(taken_over, self._echo)
        app.router.add_get("/images/{name}/get", self._break_off)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.UnixSite(runner, str(self._socket)).start()
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.asked.append(" ".join(filter(None, (request.method, request.path_qs, body))))
        self.headers = set(request.headers)
        if self.silent:
            await asyncio.Event().wait()
        missing = {"message": f"No such thing: {request.path}"}
        # A registry that cannot be reached is Docker's fault of its own.
        absent = 500 if request.path.startswith("/distribution/") else 404
        value = self.answers.get(request.path, missing)
        return web.Response(
            status=200 if request.path in self.answers else absent,
            body=value if isinstance(value, bytes) else json.dumps(value).encode(),
            headers={"Content-Type": "application/json"},
        )

    async def _break_off(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    async def _tell_events(self, request: web.Request) -> web.StreamResponse:
        """Those between `since` and `until`; without an `until` it then waits for the end."""
        self.asked.append(f"GET {request.path_qs}")
        since, until = (float(request.query.get(name, "inf")) for name in ("since", "until"))
        response = web.StreamResponse()
        await response.prepare(request)
        self.open += 1
        try:
            for event in self.events:
                if since <= event["timeNano"] / 1e9 <= until:
                    await response.write(json.dumps(event).encode() + b"\n")
            if "until" not in request.query:
                await self.leaving.wait()
        finally:
            self.open -= 1
        return response

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        """A hijacked connection that gives back in capitals what it is given, and ends with its input."""
        self.asked.append(f"POST {request.path_qs} {await request.text()}".rstrip())
        self.headers = set(request.headers)
        transport = request.transport
        assert transport is not None
        echo = _Echo(transport, request.protocol)
        transport.set_protocol(echo)
        protocol = request.headers["Upgrade"].encode()
        transport.write(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: %b\r\n\r\n" % protocol)
        self.open += 1
        self.echoes.add(transport)
        try:
            await echo.ended.wait()
        finally:
            self.open -= 1
            self.echoes.discard(transport)
            transport.close()
        return web.Response()


class _Echo(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport, former: Any) -> None:
        self.ended = asyncio.Event()
        self._transport = transport
        self._former = former

    def data_received(self, data: bytes) -> None:
        self._transport.write(data.upper())

    def eof_received(self) -> bool:
        self._transport.write(b"bye\n")
        self.ended.set()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._former.connection_lost(exc)
