"""The whole cluster in one file, and back: what Docker has no words for."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator

from aiohttp import web

from core.errors import InvalidArgument, Unavailable
from core.logs import logger
from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.ports import RestoreRequest
from pyswarm.engineapi.request import NODE, control

HEADER = "X-Pyswarm-Passphrase"
"""The passphrase's UTF-8, in base64."""
_PIECE = 64 << 10

log = logger("pyswarm.engineapi")


async def backup(request: web.Request) -> web.StreamResponse:
    """What cannot be done is said before the first byte."""
    control(request)
    parts = await request.app[NODE].backup(_passphrase(request))
    part = await asyncio.to_thread(next, parts)
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    await response.prepare(request)
    try:
        while part:
            await response.write(part)
            part = await asyncio.to_thread(next, parts, b"")
        await response.write_eof()
    except ConnectionResetError:
        log.debug("the reader of a backup went away")
    return response


async def restore(request: web.Request) -> web.Response:
    wanted = RestoreRequest(
        listen_addr=request.query.get("listenAddr", ""),
        advertise_addr=request.query.get("advertiseAddr", ""),
        passphrase=_passphrase(request),
    )
    return answer(await request.app[NODE].restore(wanted, _body(request)))


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.content.iter_chunked(_PIECE):
            yield piece
    except (ConnectionError, web.RequestPayloadError):
        raise Unavailable("the client broke off before the whole backup was sent") from None


def _passphrase(request: web.Request) -> str:
    """Raises InvalidArgument."""
    try:
        text = base64.b64decode(request.headers.get(HEADER, ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    if not text:
        raise InvalidArgument(f"the header {HEADER} must hold the backup's passphrase in base64")
    return text


ROUTES = [web.get("/pyswarm/backup", backup), web.post("/pyswarm/restore", restore)]
