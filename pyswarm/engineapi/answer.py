"""Answers."""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from aiohttp import web

JSON = {"Content-Type": "application/json"}
"""Exactly so: the docker command shows an error whose type names a charset as raw JSON."""


_SLICE = 100
"""Objects that are written before others get their turn on the loop; some milliseconds."""

T = TypeVar("T")


def answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(status=status, body=as_json(value), headers=JSON)


async def answer_list(items: Iterable[T], show: Callable[[T], Any]) -> web.Response:
    """A list, however long: a service may have ten thousand tasks, and the loop has heartbeats to answer."""
    shown: list[bytes] = []
    for item in items:
        shown.append(as_json(show(item)))
        if len(shown) % _SLICE == 0:
            await asyncio.sleep(0)
    return web.Response(body=b"[" + b",".join(shown) + b"]", headers=JSON)


def done(status: int = 200) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status)


def as_json(value: Any) -> bytes:
    """Bytes are JSON already. Half a character, of which a request may speak, is shown as a question mark."""
    if isinstance(value, bytes):
        return value
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")
