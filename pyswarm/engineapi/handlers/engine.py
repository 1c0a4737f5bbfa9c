"""What is not the cluster's is the node's own engine's: containers, images and volumes of this node.

The rule is by noun. Every call on one of `NOUNS` is passed on as it is, reads and changes alike, and answered as the
engine answers: so `docker ps`, `logs`, `exec -it`, `run` or `pull` through this socket do what they do on the node's
engine. Nothing is gained by it: who may open this socket is root on every node already, as a service may mount `/`.
As with dockerd, a task's container that somebody stops or removes has failed, and is replaced. The engine's own swarm
mode, networks (but to prune them, and to inspect those that every engine has) and information are never reached: those
names are the cluster's here.

The version in the path is left out: the engine may speak none of ours, and answers in its newest.
"""

import re
from collections.abc import Iterator, Mapping

import aiohttp
from aiohttp import web

from core.logs import logger
from pyswarm.engineapi.hijack import hand_over, wants_upgrade
from pyswarm.engineapi.request import ENGINE

NOUNS = (
    "containers",
    "exec",
    "images",
    "distribution",
    "volumes",
    "plugins",
    "build",
    "session",  # BuildKit's, in which the engine asks the client for files
    "grpc",  # BuildKit itself
    "commit",
    "auth",
    "system/df",
    "networks/prune",  # of the engine's own: `docker system prune` stops without it
)

_LEFT_OUT = re.compile(r"^(https?://[^/?]*)?(/v\d{1,3}\.\d{1,3}(?=/))?", re.IGNORECASE)
"""The version, and the host that a target in absolute form names."""
_OF_ONE_CONNECTION = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "host", "date", "server"})

log = logger("pyswarm.engineapi")


async def pass_on(request: web.Request) -> web.StreamResponse:
    engine, path = request.app[ENGINE], _LEFT_OUT.sub("", request.raw_path, count=1)
    if wants_upgrade(request):
        return await hand_over(request, engine, path)
    body = request.content.iter_any() if request.body_exists else None
    async with engine.ask(request.method, path, _passed(request.headers), body) as answer:
        response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=_passed(answer.headers))
        await response.prepare(request)
        try:
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except ConnectionResetError:
            log.debug("the reader of an engine's answer went away", path=path)
        except aiohttp.ClientError as error:
            log.warning("the engine broke off its answer", path=path, reason=str(error))
            if request.transport is not None:
                request.transport.abort()  # or half an answer would look like a whole one
        return response


def _passed(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """A header may come repeatedly."""
    return [(name, value) for name, value in headers.items() if name.lower() not in _OF_ONE_CONNECTION]


def _routes() -> Iterator[web.RouteDef]:
    for noun in NOUNS:
        yield web.route("*", f"/{noun}", pass_on)
        yield web.route("*", f"/{noun}/{{rest:.*}}", pass_on)


ROUTES = list(_routes())
