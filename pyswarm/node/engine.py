"""What the local Docker Engine says of itself, for `info`."""

from collections.abc import Mapping
from typing import Any

import aiohttp

_SECONDS = 3.0


async def engine_info(url: str) -> Mapping[str, Any]:
    """The engine's answer to GET /info; empty if it does not answer in time."""
    scheme, _, path = url.partition("://")
    connector = aiohttp.UnixConnector(path) if scheme == "unix" else aiohttp.TCPConnector()
    base = "http://engine" if scheme == "unix" else url.replace("tcp://", "http://", 1)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(_SECONDS)) as client,
            client.get(f"{base}/info") as response,
        ):
            found: Mapping[str, Any] = await response.json() if response.status == 200 else {}
            return found
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return {}
