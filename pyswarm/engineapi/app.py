"""The application: every path with and without a version in front."""

from aiohttp import web

from pyswarm.engineapi import middlewares
from pyswarm.engineapi.engine import LocalEngine
from pyswarm.engineapi.handlers import (
    backup,
    dependencies,
    engine,
    events,
    explain,
    logs,
    networks,
    nodes,
    rebalance,
    services,
    swarm,
    system,
    tasks,
)
from pyswarm.engineapi.ports import NodeApi
from pyswarm.engineapi.request import ENGINE, MAX_BODY, NODE, SHOWN
from pyswarm.engineapi.shown import Shown
from pyswarm.engineapi.versions import API_VERSION, PYSWARM_VERSION

_PREFIXES = ("", r"/v{version:\d{1,3}\.\d{1,3}}")
_NOUNS = (
    *(system, swarm, backup, nodes, services, rebalance, explain, logs, tasks, dependencies, events),
    *(networks, engine),
)
_HEADERS = {
    "Api-Version": API_VERSION,
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"pyswarm/{PYSWARM_VERSION} (linux)",
}


def make_app(node: NodeApi) -> web.Application:
    app = web.Application(
        middlewares=[middlewares.errors, middlewares.version, middlewares.finish_changes],
        client_max_size=MAX_BODY,
    )
    app[NODE], app[ENGINE], app[SHOWN] = node, LocalEngine(node.engine_url), Shown()
    app.on_response_prepare.append(_say_who)
    for noun in _NOUNS:
        for route in noun.ROUTES:
            for prefix in _PREFIXES:
                app.router.add_route(route.method, prefix + route.path, route.handler)
    return app


async def _say_who(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
