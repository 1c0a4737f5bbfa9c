"""Answers."""

import json
from typing import Any

from aiohttp import web

JSON = {"Content-Type": "application/json"}
"""Exactly so: the docker command shows an error whose type names a charset as raw JSON."""


def answer(value: Any, status: int = 200) -> web.Response:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return web.Response(status=status, body=body, headers=JSON)


def done(status: int = 200) -> web.Response:
    """An answer without a body."""
    return web.Response(status=status)
