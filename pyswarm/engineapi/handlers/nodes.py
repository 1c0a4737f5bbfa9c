"""Nodes."""

from aiohttp import web

from core.ids import is_id
from pyswarm.engineapi.answer import answer, answer_list, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.ports import ControlApi
from pyswarm.engineapi.request import control, filters, flag, read_body, version
from pyswarm.engineapi.wire.node import read_node_spec, show_node
from pyswarm.engineapi.wire.tls import TrustRoot, trust_root


async def list_nodes(request: web.Request) -> web.Response:
    cluster = control(request)
    root = await _root(cluster)
    nodes = await ask(cluster.list_nodes(filters(request)))
    return await answer_list(nodes, lambda node: show_node(node, root))


async def inspect(request: web.Request) -> web.Response:
    cluster = control(request)
    node = await ask(cluster.get_node(request.match_info["ref"]))
    return answer(show_node(node, await _root(cluster)))


async def update(request: web.Request) -> web.Response:
    cluster, ref = control(request), request.match_info["ref"]
    wanted, spec = version(request, "node"), read_node_spec(await read_body(request))
    node_id = ref if is_id(ref) else (await ask(cluster.get_node(ref))).id
    await ask(cluster.update_node(node_id, wanted, spec))
    return done()


async def remove(request: web.Request) -> web.Response:
    await ask(control(request).remove_node(request.match_info["ref"], flag(request, "force")))
    return done()


async def _root(cluster: ControlApi) -> TrustRoot:
    return trust_root((await ask(cluster.get_cluster())).root_ca.cert)


ROUTES = [
    web.get("/nodes", list_nodes),
    web.get("/nodes/{ref}", inspect),
    web.post("/nodes/{ref}/update", update),
    web.delete("/nodes/{ref}", remove),
]
