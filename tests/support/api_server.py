"""The API of a FakeNode on a real unix socket, with a client for it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.ports import NodeApi
from pyswarm.engineapi.server import Server


@asynccontextmanager
async def serve(node: NodeApi, path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    server = Server(make_app(node), path)
    await server.start()
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session:
            yield session
    finally:
        await server.stop()
