"""Nodes."""

from aiohttp import web

from core.ids import is_id
from pyswarm.engineapi.answer import answer, answer_list, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.ports import ControlApi
from pyswarm.engineapi.request import SHOWN, control, filters, flag, read_body, version
from pyswarm.engineapi.wire.node import read_node_spec, show_node
from pyswarm.engineapi.wire.tls import Roots, roots_of


async def list_nodes(request: web.Request) -> web.Response:
    cluster = control(request)
    roots = await _roots(cluster)
    nodes = await ask(cluster.list_nodes(filters(request)))
    shown = request.app[SHOWN]
    return await answer_list(nodes, lambda node: shown.of(node, lambda: show_node(node, roots), context=roots))


async def inspect(request: web.Request) -> web.Response:
    cluster = control(request)
    node = await ask(cluster.get_node(request.match_info["ref"]))
    return answer(show_node(node, await _roots(cluster)))


async def update(request: web.Request) -> web.Response:
    cluster, ref = control(request), request.match_info["ref"]
    wanted, spec = version(request, "node"), read_node_spec(await read_body(request))
    node_id = ref if is_id(ref) else (await ask(cluster.get_node(ref))).id
    await ask(cluster.update_node(node_id, wanted, spec))
    return done()


async def remove(request: web.Request) -> web.Response:
    await ask(control(request).remove_node(request.match_info["ref"], flag(request, "force")))
    return done()


async def _roots(cluster: ControlApi) -> Roots:
    return roots_of((await ask(cluster.get_cluster())).root_ca)


ROUTES = [
    web.get("/nodes", list_nodes),
    web.get("/nodes/{ref}", inspect),
    web.post("/nodes/{ref}/update", update),
    web.delete("/nodes/{ref}", remove),
]
