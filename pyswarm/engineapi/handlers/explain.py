"""Why tasks wait, and where those of a service would go: what Docker has no words for."""

from aiohttp import web

from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import control, read_body
from pyswarm.engineapi.wire.explanation import show_explanation
from pyswarm.engineapi.wire.service import read_service_spec


async def explain_service(request: web.Request) -> web.Response:
    return answer(show_explanation(await ask(control(request).explain_service(request.match_info["ref"]))))


async def explain_task(request: web.Request) -> web.Response:
    return answer(show_explanation(await ask(control(request).explain_task(request.match_info["ref"]))))


async def dry_run(request: web.Request) -> web.Response:
    cluster = control(request)
    spec = read_service_spec(await read_body(request))
    return answer(show_explanation(await ask(cluster.dry_run_service(spec))))


ROUTES = [
    web.get("/pyswarm/services/{ref}/explain", explain_service),
    web.get("/pyswarm/tasks/{ref}/explain", explain_task),
    web.post("/pyswarm/services/dry-run", dry_run),
]
