"""What is not here: answers that let Docker's clients go on where they can, and say why where they can not."""

from aiohttp import web
from aiohttp.typedefs import Handler

from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.errors import ApiError
from pyswarm.engineapi.request import control


async def distribution(request: web.Request) -> web.Response:
    """The docker command then only warns that nodes may run different versions of the image."""
    raise ApiError(500, "pyswarm asks no registry for an image's digest: each node pulls the image as it is named")


async def events(request: web.Request) -> web.Response:
    raise ApiError(501, "pyswarm has no stream of events yet")


def _not_found(message: str) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        raise ApiError(404, message.format(ref=request.match_info["ref"]))

    return handler


def _objects(noun: str) -> list[web.RouteDef]:
    """A kind of object of which there are none."""

    async def list_none(request: web.Request) -> web.Response:
        control(request)
        return answer([])

    async def find_none(request: web.Request) -> web.Response:
        control(request)
        raise ApiError(404, f"{noun} {request.match_info['ref']} not found")

    async def refuse(request: web.Request) -> web.Response:
        raise ApiError(501, f"pyswarm does not have {noun}s yet")

    return [
        web.get(f"/{noun}s", list_none),
        web.post(f"/{noun}s/create", refuse),
        web.get(f"/{noun}s/{{ref}}", find_none),
        web.post(f"/{noun}s/{{ref}}/update", find_none),
        web.delete(f"/{noun}s/{{ref}}", find_none),
    ]


ROUTES = [
    web.get("/distribution/{ref:.+}/json", distribution),
    web.get("/events", events),
    web.get("/containers/{ref}/json", _not_found("No such container: {ref}")),
    web.get("/images/{ref:.+}/json", _not_found("No such image: {ref}")),
    web.get("/volumes/{ref}", _not_found("get {ref}: no such volume")),
    web.get("/plugins/{ref:.+}/json", _not_found('plugin "{ref}" not found')),
    *_objects("secret"),
    *_objects("config"),
]
