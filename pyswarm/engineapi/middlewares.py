"""Around every handler: the version in the path, errors as Docker's, changes that are not left half-way."""

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

from core.errors import PyswarmError
from core.logs import logger
from pyswarm.engineapi import versions
from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.errors import ApiError, api_error
from pyswarm.engineapi.handlers.engine import pass_on

log = logger("pyswarm.engineapi")


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is `{"message": ...}`; one that is ours is logged, and the user told no more than that."""
    try:
        return await handler(request)
    except ApiError as error:
        return answer({"message": error.message}, error.status)
    except PyswarmError as error:
        refusal = api_error(error)
        return answer({"message": refusal.message}, refusal.status)
    except web.HTTPException as error:
        return answer({"message": _http_message(request, error)}, error.status)
    except Exception:
        log.exception("request failed", method=request.method, path=request.path)
        return answer({"message": "internal error: the daemon's log says more"}, 500)


@web.middleware
async def version(request: web.Request, handler: Handler) -> web.StreamResponse:
    named = request.match_info.get("version")
    if named is not None:
        versions.check(named)
    return await handler(request)


@web.middleware
async def finish_changes(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A client that hangs up ends what it reads (a log that it follows), but never stops a change half-way. What is
    passed on is the engine's to finish."""
    if request.method in ("GET", "HEAD") or request.match_info.handler is pass_on:
        return await handler(request)
    return await asyncio.shield(asyncio.ensure_future(handler(request)))


def _http_message(request: web.Request, error: web.HTTPException) -> str:
    if isinstance(error, web.HTTPNotFound | web.HTTPMethodNotAllowed):
        return f"{request.method} {request.path} is not part of Docker's API that pyswarm serves"
    return error.text or error.reason
