"""Who answers here: ping, version, info."""

import os
import platform
import socket
from typing import Any

from aiohttp import web

from core.errors import PyswarmError
from core.model import Role
from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.ports import NodeApi
from pyswarm.engineapi.request import NODE
from pyswarm.engineapi.versions import API_VERSION, MIN_API_VERSION, PYSWARM_VERSION
from pyswarm.engineapi.wire.cluster import show_cluster
from pyswarm.engineapi.wire.json_types import Json, some
from pyswarm.engineapi.wire.quorum import quorum_warnings

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def ping(request: web.Request) -> web.Response:
    return web.Response(text="OK", headers={"Cache-Control": "no-cache, no-store, must-revalidate"})


async def version(request: web.Request) -> web.Response:
    details = {
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
        "Arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "KernelVersion": platform.release(),
        "GitCommit": "",
        "GoVersion": "",
        "BuildTime": "",
    }
    engine = {"Name": "Engine", "Version": PYSWARM_VERSION, "Details": {**details, "Experimental": "false"}}
    return answer({"Platform": {"Name": "pyswarm"}, "Components": [engine], "Version": PYSWARM_VERSION, **details})


async def info(request: web.Request) -> web.Response:
    """What the node's own engine says of itself, with this cluster in the place of its swarm. The docker command shows
    the warnings that stand outside."""
    node = request.app[NODE]
    engine = await node.engine_info() or _without_engine()
    swarm = await _show_local_swarm(node)
    own = (f"WARNING: {warning}" for warning in node.status().warnings)
    warnings = [*(engine.get("Warnings") or ()), *own, *swarm.get("Warnings", ())]
    return answer({**engine, "Swarm": swarm, "Warnings": warnings or None})


async def _show_local_swarm(node: NodeApi) -> Json:
    """Answers without the cluster too: that is when it is asked most."""
    status = node.status()
    peers = [{"NodeID": peer.node_id, "Addr": peer.addr} for peer in status.remote_managers]
    local: Json = {
        "NodeID": status.node_id,
        "NodeAddr": status.addr,
        "LocalNodeState": status.state,
        "ControlAvailable": status.is_manager,
        "Error": status.error,
        "RemoteManagers": peers or None,
    }
    if not status.is_manager:
        return local
    try:
        return {**local, **await _show_membership(node)}
    except PyswarmError as error:
        return {**local, "Error": status.error or error.message}


async def _show_membership(node: NodeApi) -> Json:
    control = node.control()
    cluster, nodes = await control.get_cluster(), await control.list_nodes({})
    managers = sum(member.spec.role is Role.MANAGER for member in nodes)
    shown: Json = {"Nodes": len(nodes), "Managers": managers, "Cluster": show_cluster(cluster)}
    return {**shown, **some(Warnings=quorum_warnings(nodes))}


def _without_engine() -> dict[str, Any]:
    return {
        "ID": "",
        "Name": socket.gethostname(),
        "ServerVersion": PYSWARM_VERSION,
        "OSType": "linux",
        "Architecture": platform.machine(),
        "NCPU": os.cpu_count(),
        "Warnings": ["WARNING: this node's Docker Engine does not answer: it can run no tasks"],
    }


ROUTES = [
    web.head("/_ping", ping),
    web.get("/_ping", ping, allow_head=False),
    web.get("/version", version),
    web.get("/info", info),
]
