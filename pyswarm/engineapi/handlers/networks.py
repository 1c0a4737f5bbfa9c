"""Networks: only those that are there without being made. The node's own are as its engine shows them."""

import asyncio
import hashlib
from typing import Any

import aiohttp
from aiohttp import web

from core.ids import ID_LENGTH, base36
from manager.control.api import Filters
from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.engine import EngineGone, LocalEngine
from pyswarm.engineapi.errors import ApiError
from pyswarm.engineapi.request import ENGINE, NODE, filters
from pyswarm.engineapi.wire.json_types import Json
from pyswarm.engineapi.wire.times import ZERO_TIME

_PATIENCE = 3.0
"""Seconds within which the engine is to answer: it only has to look at what it has."""
_NOT_YET = "pyswarm does not have user-defined networks yet: publish ports instead"


def _network(name: str, driver: str, scope: str) -> Json:
    digest = hashlib.sha256(f"pyswarm network {name}".encode())
    short = base36(int.from_bytes(digest.digest()[:15], "big"), ID_LENGTH)
    return {
        "Name": name,
        "Id": short if scope == "swarm" else digest.hexdigest(),
        "Created": ZERO_TIME,
        "Scope": scope,
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": name == "ingress",
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": None,
        "Options": {},
        "Labels": {},
    }


_LOCAL = [_network("bridge", "bridge", "local"), _network("host", "host", "local"), _network("none", "null", "local")]
"""What every engine has, but for its ids."""
_INGRESS = _network("ingress", "relay", "swarm")
"""Published ports are carried by the nodes' relays, so there is no overlay to look into."""


async def list_networks(request: web.Request) -> web.Response:
    wanted = filters(request)
    known = await _known(request, of_engine="local" in (wanted.get("scope") or ["local"]))
    return answer([network for network in known if _matches(network, wanted)])


async def inspect(request: web.Request) -> web.Response:
    """The node's own, with its containers, is the engine's to tell of; whoever asks for the cluster's is to find what
    services may name."""
    network = await _find(request)
    if network["Scope"] == "local" and not _is_of_cluster(request):
        status, shown = await _ask(request.app[ENGINE], f"/networks/{network['Name']}")
        return answer(shown, status)
    return answer(network)


async def create(request: web.Request) -> web.Response:
    raise ApiError(501, _NOT_YET)


async def remove(request: web.Request) -> web.Response:
    name = (await _find(request))["Name"]
    raise ApiError(403, f"{name} is a pre-defined network and cannot be removed")


async def _known(request: web.Request, of_engine: bool) -> list[Json]:
    of_node = await _of_engine(request.app[ENGINE]) if of_engine else _LOCAL
    in_swarm = request.app[NODE].status().state == "active"
    return [*of_node, _INGRESS] if in_swarm else of_node


async def _of_engine(engine: LocalEngine) -> list[Json]:
    """While it does not answer: as if it had all of them."""
    try:
        status, found = await _ask(engine, "/networks")
    except EngineGone:
        return _LOCAL
    names = [network["Name"] for network in _LOCAL]
    return [network for network in found if network["Name"] in names] if status == 200 else _LOCAL


async def _ask(engine: LocalEngine, path: str) -> tuple[int, Any]:
    """The status and the value that it answers with. Raises EngineGone also if it takes too long, or talks nonsense."""
    try:
        async with asyncio.timeout(_PATIENCE), engine.ask("GET", path) as asked:
            return asked.status, await asked.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise EngineGone(engine.url) from None


async def _find(request: web.Request) -> Json:
    """By name or id, or the unambiguous beginning of an id, in this order."""
    ref = request.match_info["ref"]
    known = await _known(request, of_engine=not _is_of_cluster(request))
    same = [network for network in known if ref in (network["Name"], network["Id"])]
    found = same or [network for network in known if network["Id"].startswith(ref)]
    if len(found) > 1:
        raise ApiError(400, f"network {ref} is ambiguous ({len(found)} matches found)")
    if found:
        return found[0]
    raise ApiError(404, f"network {ref} not found ({_NOT_YET})")


def _is_of_cluster(request: web.Request) -> bool:
    return request.query.get("scope") == "swarm"


def _matches(network: Json, wanted: Filters) -> bool:
    """Name and id match by any part of them; nothing here has a label."""
    parts = {"name": network["Name"], "id": network["Id"]}
    values = {"driver": network["Driver"], "scope": network["Scope"], "type": "builtin", "dangling": "false"}
    return all(
        any(value in parts[key] for value in any_of) if key in parts else values.get(key) in any_of
        for key, any_of in wanted.items()
        if any_of
    )


ROUTES = [
    web.get("/networks", list_networks),
    web.get("/networks/{ref}", inspect),
    web.post("/networks/create", create),
    web.delete("/networks/{ref}", remove),
]
