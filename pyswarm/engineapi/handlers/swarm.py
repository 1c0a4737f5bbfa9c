"""The cluster: init, join, leave; its settings and its join tokens."""

from aiohttp import web

from core.errors import InvalidArgument
from pyswarm.engineapi.answer import answer, done
from pyswarm.engineapi.errors import ApiError, ask
from pyswarm.engineapi.request import NODE, control, flag, read_body, version
from pyswarm.engineapi.wire.cluster import read_cluster_spec, show_swarm
from pyswarm.engineapi.wire.membership import read_init, read_join


async def init(request: web.Request) -> web.Response:
    return answer(await request.app[NODE].init(read_init(await read_body(request))))


async def join(request: web.Request) -> web.Response:
    await request.app[NODE].join(read_join(await read_body(request)))
    return done()


async def leave(request: web.Request) -> web.Response:
    await request.app[NODE].leave(flag(request, "force"))
    return done()


async def inspect(request: web.Request) -> web.Response:
    return answer(show_swarm(await ask(control(request).get_cluster())))


async def update(request: web.Request) -> web.Response:
    cluster = control(request)
    if flag(request, "rotateManagerUnlockKey"):
        raise InvalidArgument("rotateManagerUnlockKey is not supported by pyswarm yet: it can not lock managers")
    base = (await ask(cluster.get_cluster())).spec
    await ask(
        cluster.update_cluster(
            version(request, "swarm"),
            read_cluster_spec(await read_body(request), base),
            flag(request, "rotateWorkerToken"),
            flag(request, "rotateManagerToken"),
        )
    )
    return done()


async def unlock_key(request: web.Request) -> web.Response:
    """Empty, which is Docker's answer where managers are not locked."""
    control(request)
    return answer({"UnlockKey": ""})


async def unlock(request: web.Request) -> web.Response:
    raise ApiError(409, "swarm is not locked")


ROUTES = [
    web.post("/swarm/init", init),
    web.post("/swarm/join", join),
    web.post("/swarm/leave", leave),
    web.get("/swarm", inspect),
    web.post("/swarm/update", update),
    web.get("/swarm/unlockkey", unlock_key),
    web.post("/swarm/unlock", unlock),
]
