"""Tasks. Nobody changes them from outside."""

from aiohttp import web

from pyswarm.engineapi.answer import answer, answer_list
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import SHOWN, control, filters
from pyswarm.engineapi.wire.task import show_task


async def list_tasks(request: web.Request) -> web.Response:
    shown = request.app[SHOWN]
    tasks = await ask(control(request).list_tasks(filters(request)))
    return await answer_list(tasks, lambda task: shown.of(task, lambda: show_task(task)))


async def inspect(request: web.Request) -> web.Response:
    task = await ask(control(request).get_task(request.match_info["ref"]))
    return answer(request.app[SHOWN].of(task, lambda: show_task(task)))


ROUTES = [
    web.get("/tasks", list_tasks),
    web.get("/tasks/{ref}", inspect),
]
