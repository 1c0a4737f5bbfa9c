"""What is not here: answers that let Docker's clients go on where they can, and say why where they can not."""

from aiohttp import web

from pyswarm.engineapi.errors import ApiError


async def distribution(request: web.Request) -> web.Response:
    """The docker command then only warns that nodes may run different versions of the image."""
    raise ApiError(500, "pyswarm asks no registry for an image's digest: each node pulls the image as it is named")


ROUTES = [
    web.get("/distribution/{ref:.+}/json", distribution),
]
