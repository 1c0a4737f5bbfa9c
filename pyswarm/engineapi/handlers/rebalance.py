"""Spreading a service's tasks again: what Docker has no words for."""

from aiohttp import web

from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import control, read_body
from pyswarm.engineapi.wire.rebalance import read_rebalance, show_rebalance


async def rebalance(request: web.Request) -> web.Response:
    cluster = control(request)
    max_unavailable, order = read_rebalance(await read_body(request))
    service = await ask(cluster.rebalance_service(request.match_info["ref"], max_unavailable, order))
    assert service.rebalance is not None, "it was asked for"
    return answer(show_rebalance(service.rebalance))


ROUTES = [web.post("/pyswarm/services/{ref}/rebalance", rebalance)]
