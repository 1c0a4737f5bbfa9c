"""Services."""

from functools import lru_cache

from aiohttp import web

from core.errors import InvalidArgument
from core.ids import is_id
from core.model import Service
from manager.control import TaskCounts
from manager.scheduler.unknown_keys import warnings_on
from pyswarm.engineapi.answer import answer, answer_list, as_json, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.registry_auth import with_credentials
from pyswarm.engineapi.request import SHOWN, control, filters, flag, new_request_id, read_body, version
from pyswarm.engineapi.wire.json_types import some
from pyswarm.engineapi.wire.service import read_service_spec, show_counts, show_service


async def list_services(request: web.Request) -> web.Response:
    shown, with_counts = request.app[SHOWN], flag(request, "status")

    def show(listed: tuple[Service, TaskCounts]) -> bytes:
        service, counts = listed
        data = shown.of(service, lambda: show_service(service))
        return data[:-1] + _status(counts) if with_counts else data

    return await answer_list(await ask(control(request).list_services(filters(request))), show)


@lru_cache(maxsize=1024)
def _status(counts: TaskCounts) -> bytes:
    """How a service's JSON ends that tells them: many services have the same."""
    return b',"ServiceStatus":' + as_json(show_counts(counts)) + b"}"


async def create(request: web.Request) -> web.Response:
    cluster = control(request)
    spec = with_credentials(read_service_spec(await read_body(request)), request)
    service = await ask(cluster.create_service(spec, new_request_id()))
    return answer({"ID": service.id, **some(Warnings=warnings_on(spec.task))}, status=201)


async def inspect(request: web.Request) -> web.Response:
    service = await ask(control(request).get_service(request.match_info["ref"]))
    defaults = flag(request, "insertDefaults")
    way = "defaults" if defaults else ""
    return answer(request.app[SHOWN].of(service, lambda: show_service(service, defaults=defaults), way))


async def update(request: web.Request) -> web.Response:
    """With `rollback=previous` the body is not looked at: the leader holds the previous spec."""
    cluster, ref = control(request), request.match_info["ref"]
    wanted = version(request, "service")
    rollback = request.query.get("rollback", "")
    if rollback not in ("", "none", "previous"):
        raise InvalidArgument(f"invalid rollback {rollback!r}: it may be none or previous")
    warnings: list[str] = []
    if rollback == "previous":
        service_id = ref if is_id(ref) else (await ask(cluster.get_service(ref))).id
        await ask(cluster.rollback_service(service_id, wanted))
    else:
        spec = read_service_spec(await read_body(request))
        # Whatever this reads is what the update changes, or the leader refuses the update: it is out of sequence.
        current = await ask(cluster.get_service(ref))
        await ask(cluster.update_service(current.id, wanted, with_credentials(spec, request, current)))
        warnings = warnings_on(spec.task)
    return answer({"Warnings": warnings or None})


async def remove(request: web.Request) -> web.Response:
    await ask(control(request).remove_service(request.match_info["ref"]))
    return done()


ROUTES = [
    web.get("/services", list_services),
    web.post("/services/create", create),
    web.get("/services/{ref}", inspect),
    web.post("/services/{ref}/update", update),
    web.delete("/services/{ref}", remove),
]
