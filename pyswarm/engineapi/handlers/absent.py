"""What is not here: answers that let Docker's clients go on where they can, and say why where they can not."""

from aiohttp import web
from aiohttp.typedefs import Handler

from pyswarm.engineapi.errors import ApiError


async def distribution(request: web.Request) -> web.Response:
    """The docker command then only warns that nodes may run different versions of the image."""
    raise ApiError(500, "pyswarm asks no registry for an image's digest: each node pulls the image as it is named")


async def events(request: web.Request) -> web.Response:
    raise ApiError(501, "pyswarm has no stream of events yet")


def _not_found(message: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        raise ApiError(404, message.format(ref=request.match_info["ref"]))

    return handler


ROUTES = [
    web.get("/distribution/{ref:.+}/json", distribution),
    web.get("/events", events),
    web.get("/containers/{ref}/json", _not_found("No such container: {ref}")),
    web.get("/images/{ref:.+}/json", _not_found("No such image: {ref}")),
    web.get("/volumes/{ref}", _not_found("get {ref}: no such volume")),
    web.get("/plugins/{ref:.+}/json", _not_found('plugin "{ref}" not found')),
]
