"""Networks: only those that are there without being made."""

import hashlib

from aiohttp import web

from core.ids import ID_LENGTH, base36
from manager.control.api import Filters
from pyswarm.engineapi.answer import answer
from pyswarm.engineapi.errors import ApiError
from pyswarm.engineapi.request import NODE, filters
from pyswarm.engineapi.wire.json_types import Json
from pyswarm.engineapi.wire.times import ZERO_TIME

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
_INGRESS = _network("ingress", "relay", "swarm")
"""Published ports are carried by the nodes' relays, so there is no overlay to look into."""


async def list_networks(request: web.Request) -> web.Response:
    wanted = filters(request)
    return answer([network for network in _known(request) if _matches(network, wanted)])


async def inspect(request: web.Request) -> web.Response:
    return answer(_find(request))


async def create(request: web.Request) -> web.Response:
    raise ApiError(501, _NOT_YET)


async def remove(request: web.Request) -> web.Response:
    name = _find(request)["Name"]
    raise ApiError(403, f"{name} is a pre-defined network and cannot be removed")


def _known(request: web.Request) -> list[Json]:
    in_swarm = request.app[NODE].status().state == "active"
    return [*_LOCAL, _INGRESS] if in_swarm else _LOCAL


def _find(request: web.Request) -> Json:
    ref = request.match_info["ref"]
    for network in _known(request):
        if ref in (network["Name"], network["Id"]):
            return network
    raise ApiError(404, f"network {ref} not found ({_NOT_YET})")


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
