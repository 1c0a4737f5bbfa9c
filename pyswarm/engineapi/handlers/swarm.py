"""The cluster: init, join, leave; its settings, its join tokens and its unlock key."""

from dataclasses import replace

from aiohttp import web

from identity.unlock import unlock_key_text
from pyswarm.engineapi.answer import answer, done
from pyswarm.engineapi.errors import ask
from pyswarm.engineapi.request import NODE, control, flag, read_body, version
from pyswarm.engineapi.wire.cluster import read_update, show_swarm
from pyswarm.engineapi.wire.fields import Fields
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
    base = (await ask(cluster.get_cluster())).spec
    spec, rotations = read_update(await read_body(request), base)
    rotations = replace(
        rotations,
        worker_token=flag(request, "rotateWorkerToken"),
        manager_token=flag(request, "rotateManagerToken"),
        unlock_key=flag(request, "rotateManagerUnlockKey"),
    )
    await ask(cluster.update_cluster(version(request, "swarm"), spec, rotations))
    return done()


async def unlock_key(request: web.Request) -> web.Response:
    """The only answer that says it; empty where managers are not locked."""
    return answer({"UnlockKey": unlock_key_text(await ask(control(request).get_unlock_key()))})


async def unlock(request: web.Request) -> web.Response:
    fields = Fields(await read_body(request))
    key = fields.text("UnlockKey")
    fields.finish()
    await request.app[NODE].unlock(key)
    return done()


ROUTES = [
    web.post("/swarm/init", init),
    web.post("/swarm/join", join),
    web.post("/swarm/leave", leave),
    web.get("/swarm", inspect),
    web.post("/swarm/update", update),
    web.get("/swarm/unlockkey", unlock_key),
    web.post("/swarm/unlock", unlock),
]
