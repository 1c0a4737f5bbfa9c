"""Secrets and configs, which differ in little but that a config can be read."""

from aiohttp import web

from core.ids import is_id
from core.model import Config, DependencyKind, DependencySpec, Secret
from pyswarm.engineapi.answer import answer, answer_list, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.ports import ControlApi
from pyswarm.engineapi.request import control, filters, new_request_id, read_body, version
from pyswarm.engineapi.wire.dependencies import (
    read_config_spec,
    read_new_data,
    read_secret_spec,
    show_config,
    show_secret,
)


async def list_secrets(request: web.Request) -> web.Response:
    return await answer_list(await ask(control(request).list_secrets(filters(request))), show_secret)


async def inspect_secret(request: web.Request) -> web.Response:
    return answer(show_secret(await ask(control(request).get_secret(request.match_info["ref"]))))


async def list_configs(request: web.Request) -> web.Response:
    return await answer_list(await ask(control(request).list_configs(filters(request))), show_config)


async def inspect_config(request: web.Request) -> web.Response:
    return answer(show_config(await ask(control(request).get_config(request.match_info["ref"]))))


class _Writes:
    """Of one kind."""

    def __init__(self, kind: DependencyKind) -> None:
        self._kind = kind
        self._noun = kind.__name__.lower()

    async def create(self, request: web.Request) -> web.Response:
        cluster = control(request)
        spec = self._spec(await read_body(request))
        return answer({"ID": await ask(cluster.create_dependency(spec, new_request_id()))}, status=201)

    async def update(self, request: web.Request) -> web.Response:
        """Its labels."""
        cluster, ref = control(request), request.match_info["ref"]
        wanted = version(request, self._noun)
        spec = self._spec(await read_body(request))
        item_id = ref if is_id(ref) else await self._find(cluster, ref)
        await ask(cluster.update_dependency(item_id, wanted, spec))
        return done()

    async def add_version(self, request: web.Request) -> web.Response:
        cluster, ref = control(request), request.match_info["ref"]
        data = read_new_data(await read_body(request))
        version_id = await ask(cluster.add_dependency_version(self._kind, ref, data, new_request_id()))
        return answer({"ID": version_id}, status=201)

    async def remove(self, request: web.Request) -> web.Response:
        await ask(control(request).remove_dependency(self._kind, request.match_info["ref"]))
        return done(204)

    def routes(self) -> list[web.RouteDef]:
        noun = self._noun
        return [
            web.post(f"/{noun}s/create", self.create),
            web.post(f"/{noun}s/{{ref}}/update", self.update),
            web.delete(f"/{noun}s/{{ref}}", self.remove),
            web.post(f"/pyswarm/{noun}s/{{ref}}/versions", self.add_version),
        ]

    async def _find(self, cluster: ControlApi, ref: str) -> str:
        if self._kind is Secret:
            return (await ask(cluster.get_secret(ref))).id
        return (await ask(cluster.get_config(ref))).id

    def _spec(self, body: object) -> DependencySpec:
        return read_secret_spec(body) if self._kind is Secret else read_config_spec(body)


ROUTES = [
    web.get("/secrets", list_secrets),
    web.get("/secrets/{ref}", inspect_secret),
    *_Writes(Secret).routes(),
    web.get("/configs", list_configs),
    web.get("/configs/{ref}", inspect_config),
    *_Writes(Config).routes(),
]
