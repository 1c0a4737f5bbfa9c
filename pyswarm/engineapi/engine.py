"""The node's own Docker Engine, asked over HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from core.errors import Unavailable

P = TypeVar("P", bound=asyncio.Protocol)

_CONNECT_SECONDS = 3.0
_NO_LIMIT = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
"""Logs and events are followed for as long as somebody reads."""
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""Headers that the library would add: whoever asked has said none, and gets what it can read."""


class EngineGone(Unavailable):
    def __init__(self, url: str) -> None:
        super().__init__(f"this node's Docker Engine at {url} does not answer: is it running?")


class LocalEngine:
    """Each call has a connection of its own. `url` is unix:///path or tcp://host:port."""

    def __init__(self, url: str) -> None:
        self.url = url
        scheme, _, self._place = url.partition("://")
        self._is_unix = scheme == "unix"
        self._base = "http://engine" if self._is_unix else f"http://{self._place}"

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, headers: Iterable[tuple[str, str]] = (), body: AsyncIterator[bytes] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """`path` is taken as it is, with its query. The answer's body is passed on as it comes. Raises EngineGone."""
        connector = aiohttp.UnixConnector(self._place) if self._is_unix else aiohttp.TCPConnector()
        async with aiohttp.ClientSession(connector=connector, timeout=_NO_LIMIT, auto_decompress=False) as client:
            try:
                answer = await client.request(
                    method,
                    URL(self._base + path, encoded=True),
                    headers=headers,
                    data=body,
                    allow_redirects=False,
                    skip_auto_headers=_NOT_ADDED,
                )
            except (aiohttp.ClientError, OSError, TimeoutError):
                raise EngineGone(self.url) from None
            async with answer:
                yield answer

    async def lines(self, path: str) -> AsyncIterator[Any]:
        """The JSON values that the engine answers with, one a line, until it ends or goes away. Raises EngineGone."""
        async with self.ask("GET", path) as answer:
            rest = b""
            try:
                async for chunk in answer.content.iter_any():
                    *whole, rest = (rest + chunk).split(b"\n")
                    for line in whole:
                        yield json.loads(line)
            except aiohttp.ClientError:
                return

    async def connect(self, protocol: Callable[[], P]) -> tuple[asyncio.Transport, P]:
        """A bare connection. Raises EngineGone."""
        loop = asyncio.get_running_loop()
        host, _, port = self._place.rpartition(":")
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                if self._is_unix:
                    return await loop.create_unix_connection(protocol, self._place)
                return await loop.create_connection(protocol, host, int(port))
        except (OSError, TimeoutError):
            raise EngineGone(self.url) from None
