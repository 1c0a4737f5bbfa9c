"""Tasks. Nobody changes them from outside."""

from aiohttp import web

from pyswarm.engineapi.answer import answer, answer_list
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import control, filters
from pyswarm.engineapi.wire.task import show_task


async def list_tasks(request: web.Request) -> web.Response:
    return await answer_list(await ask(control(request).list_tasks(filters(request))), show_task)


async def inspect(request: web.Request) -> web.Response:
    return answer(show_task(await ask(control(request).get_task(request.match_info["ref"]))))


ROUTES = [
    web.get("/tasks", list_tasks),
    web.get("/tasks/{ref}", inspect),
]
