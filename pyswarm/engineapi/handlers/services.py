"""Services."""

import secrets

from aiohttp import web

from core.errors import InvalidArgument
from core.ids import is_id
from core.model import Service
from pyswarm.engineapi.answer import answer, answer_list, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.registry_auth import refuse_credentials
from pyswarm.engineapi.request import control, filters, flag, read_body, version
from pyswarm.engineapi.wire.json_types import Json
from pyswarm.engineapi.wire.service import read_service_spec, show_service

_REQUEST_ID_BYTES = 16


async def list_services(request: web.Request) -> web.Response:
    with_counts = flag(request, "status")

    def show(listed: tuple[Service, int, int]) -> Json:
        service, running, desired = listed
        return show_service(service, counts=(running, desired) if with_counts else None)

    return await answer_list(await ask(control(request).list_services(filters(request))), show)


async def create(request: web.Request) -> web.Response:
    cluster = control(request)
    refuse_credentials(request.headers.get("X-Registry-Auth", ""))
    spec = read_service_spec(await read_body(request))
    service = await ask(cluster.create_service(spec, secrets.token_bytes(_REQUEST_ID_BYTES)))
    return answer({"ID": service.id}, status=201)


async def inspect(request: web.Request) -> web.Response:
    service = await ask(control(request).get_service(request.match_info["ref"]))
    return answer(show_service(service, defaults=flag(request, "insertDefaults")))


async def update(request: web.Request) -> web.Response:
    """With `rollback=previous` the body is not looked at: the leader holds the previous spec."""
    cluster, ref = control(request), request.match_info["ref"]
    refuse_credentials(request.headers.get("X-Registry-Auth", ""))
    wanted = version(request, "service")
    rollback = _word(request, "rollback", ("", "none", "previous")) == "previous"
    _word(request, "registryAuthFrom", ("", "spec", "previous-spec"))
    service_id = ref if is_id(ref) else (await ask(cluster.get_service(ref))).id
    if rollback:
        await ask(cluster.rollback_service(service_id, wanted))
    else:
        await ask(cluster.update_service(service_id, wanted, read_service_spec(await read_body(request))))
    return answer({"Warnings": None})


async def remove(request: web.Request) -> web.Response:
    await ask(control(request).remove_service(request.match_info["ref"]))
    return done()


def _word(request: web.Request, name: str, known: tuple[str, ...]) -> str:
    text = request.query.get(name, "")
    if text not in known:
        raise InvalidArgument(f"invalid {name} {text!r}: it may be {' or '.join(filter(None, known))}")
    return text


ROUTES = [
    web.get("/services", list_services),
    web.post("/services/create", create),
    web.get("/services/{ref}", inspect),
    web.post("/services/{ref}/update", update),
    web.delete("/services/{ref}", remove),
]
