"""The stream of events: what the cluster does and what the node's own engine does, now and before."""

import asyncio
import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

import pytest

from core.clock import SECOND
from core.model import Availability, Config, ConfigSpec, NodeState, NodeStatus, PortError, Secret, SecretSpec
from pyswarm.engineapi.ports import InitRequest
from tests.support.fake_node import FakeNode
from tests.support.memory_cluster import START
from tests.support.pyswarm_cli import PyswarmCli
from tests.support.waiting import eventually

BASE = "http://docker/v1.44/events"
PAST = f"{BASE}?since=0&until={START // SECOND + 10_000}"

pytestmark = pytest.mark.usefixtures("after_the_cluster")


@pytest.fixture
async def manager(node: FakeNode) -> FakeNode:
    await node.init(InitRequest())
    return node


@pytest.fixture
def told(session):
    """Past events, each as `Type Action name {what differs}`, without nodes' updates of nothing that is told of."""

    async def read(**filters: str) -> list[str]:
        wanted = quote(json.dumps({key: [value] for key, value in filters.items()}))
        async with session.get(f"{PAST}&filters={wanted}") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "application/json"
            shown = [_shown(json.loads(line)) for line in (await response.read()).splitlines()]
            return [line for line in shown if not re.fullmatch(r"node update \S+", line)]

    return read


def _shown(event) -> str:
    attributes = event["Actor"]["Attributes"]
    differ = " ".join(f"{key}={value}" for key, value in attributes.items() if key != "name")
    return f"{event['Type']} {event['Action']} {attributes['name']} {differ}".strip()


async def relabel(cluster, name: str = "web", **labels: str) -> None:
    service = await cluster.control.get_service(name)
    await cluster.control.update_service(service.id, service.meta.version, replace(service.spec, labels=labels))


async def test_an_event_has_dockers_form(session, manager):
    service = await manager.cluster.run("web")
    async with session.get(f"{PAST}&filters=" + quote('{"type":{"service":true},"event":{"create":true}}')) as response:
        (line,) = (await response.read()).splitlines()
    created_at = service.meta.created_at
    assert json.loads(line) == {
        "Type": "service",
        "Action": "create",
        "Actor": {"ID": service.id, "Attributes": {"name": "web"}},
        "scope": "swarm",
        "time": created_at // SECOND,
        "timeNano": created_at,
    }


async def test_a_services_life_is_told(told, manager):
    cluster = manager.cluster
    service = await cluster.run("web")
    scaled = replace(service.spec, replicas=3)
    current = await cluster.control.get_service("web")
    await cluster.control.update_service(service.id, current.meta.version, scaled)
    image = replace(scaled.task, container=replace(scaled.task.container, image="busybox:2"))
    current = await cluster.control.get_service("web")
    await cluster.control.update_service(service.id, current.meta.version, replace(scaled, task=image))
    await cluster.control.remove_service("web")
    lines = await told(type="service")
    assert lines[0] == "service create web"
    assert "service update web replicas.old=1 replicas.new=3" in [" ".join(sorted_words(line)) for line in lines]
    assert any("image.old=busybox image.new=busybox:2" in " ".join(sorted_words(line)) for line in lines)
    assert any("updatestate.new=completed" in line and "updatestate.old=updating" in line for line in lines)
    assert lines[-1] == "service remove web"


def sorted_words(line: str) -> list[str]:
    """`key.new` after `key.old`."""
    head, rest = line.split(" ")[:3], line.split(" ")[3:]
    return head + sorted(rest, key=lambda word: (word.partition(".")[0], ".new" in word))


async def test_nodes_secrets_and_configs_are_told(told, manager):
    cluster = manager.cluster
    node = await cluster.add_node("vm2")
    await cluster.write(lambda tx: tx.create(Secret(id="s1", spec=SecretSpec(name="key"))))
    await cluster.write(lambda tx: tx.create(Config(id="c1", spec=ConfigSpec(name="motd"))))
    drained = replace(
        node, spec=replace(node.spec, availability=Availability.DRAIN), status=NodeStatus(NodeState.UNKNOWN)
    )
    await cluster.write(lambda tx: tx.update(drained))
    await cluster.write(lambda tx: tx.delete(Config, "c1"))
    assert await told() == [
        "node create vm",
        "node create vm2",
        "secret create key",
        "config create motd",
        "node update vm2 availability.new=drain availability.old=active state.new=unknown state.old=ready",
        "config remove motd",
    ]


async def test_of_a_nodes_updates_those_are_told_that_a_user_can_see(session, manager):
    cluster = manager.cluster
    node = await cluster.add_node("vm2")
    description = node.description
    assert description is not None
    for changes in (
        {"certificate_due": True},
        {"certificate_due": False, "certificate_issuer": "new", "certificate_expires_at": 5},
        {"description": replace(description, certificate_issuer="new", trust_root="new")},
    ):
        await cluster.write(lambda tx, changes=changes: tx.update(replace(tx.node(node.id), **changes)))
    told = quote('{"type":["node"],"event":["update"],"node":["vm2"]}')
    async with session.get(f"{PAST}&filters={told}") as response:
        assert await response.read() == b"", "what the managers note of its certificates"
    for changes in (
        {"spec": replace(node.spec, labels={"zone": "a"})},
        {"description": replace(description, engine_labels={"disk": "ssd"})},
        {"status": replace(node.status, message="the engine is slow")},
        {"port_errors": (PortError(80, "it is taken"),)},
    ):
        await cluster.write(lambda tx, changes=changes: tx.update(replace(tx.node(node.id), **changes)))
    async with session.get(f"{PAST}&filters={told}") as response:
        shown = [_shown(json.loads(line)) for line in (await response.read()).splitlines()]
    assert shown == ["node update vm2"] * 4


@pytest.mark.parametrize(
    ("filters", "lines"),
    [
        ({"type": "bogus"}, []),  # Docker's engine takes it too
        ({"event": "bogus"}, []),
        ({"type": "node"}, ["node create vm"]),
        ({"event": "remove"}, ["service remove db"]),
        ({"service": "we"}, ["service create web"]),
        ({"node": "vm", "event": "create"}, ["node create vm"]),
        ({"node": "other"}, []),
        ({"scope": "local"}, []),
        ({"label": "name=vm"}, ["node create vm"]),
        ({"secret": "x"}, []),
    ],
)
async def test_events_are_filtered(told, manager, filters, lines):
    await manager.cluster.run("web", replicas=0)
    await manager.cluster.run("db", replicas=0)
    await manager.cluster.control.remove_service("db")
    assert await told(**filters) == lines


@pytest.mark.parametrize(
    "query", ["since=x", "until=yesterday", "since=5&until=4", "filters={", 'filters={"colour":["red"]}', "filters=[]"]
)
async def test_events_must_be_asked_for_sensibly(session, manager, query):
    async with session.get(f"{BASE}?{query}") as response:
        assert response.status == 400
        assert list(await response.json()) == ["message"]


async def test_a_filter_that_there_is_not_is_named_with_those_that_there_are(docker, manager):
    refused = await docker.run("events", "--filter", "tpye=node", "--until", "1")
    assert refused.exit == 1
    assert "invalid filter 'tpye': there are config, container," in refused.stderr


@asynccontextmanager
async def following(session, query: str = ""):
    async with session.get(f"{BASE}?{query}") as response:
        assert response.status == 200

        async def next_line() -> str:
            return _shown(json.loads(await asyncio.wait_for(response.content.readline(), 20)))

        yield next_line


async def test_events_are_followed_from_now_on(session, manager):
    await manager.cluster.run("before", replicas=0)
    async with following(session) as next_line:
        await manager.cluster.run("web", replicas=0)
        assert await next_line() == "service create web"
        await relabel(manager.cluster, a="b")
        assert await next_line() == "service update web"


async def test_events_are_followed_from_an_earlier_time_without_a_gap(session, manager):
    await manager.cluster.run("before", replicas=0)
    async with following(session, "since=0&filters=" + quote('{"type":["service"]}')) as next_line:
        assert await next_line() == "service create before"
        await manager.cluster.run("web", replicas=0)
        assert await next_line() == "service create web"


async def test_what_the_leaders_clock_is_ahead_with_is_not_lost(session, manager):
    manager.cluster.clock.advance(30_000 * SECOND)
    await manager.cluster.run("early", replicas=0)
    async with following(session, "since=0&filters=" + quote('{"type":["service"]}')) as next_line:
        assert await next_line() == "service create early"
    async with following(session) as next_line:
        await manager.cluster.run("web", replicas=0)
        assert await next_line() == "service create web"


def local(action: str, at: int):
    actor = {"ID": "c1", "Attributes": {"name": "one"}}
    return {"Type": "container", "Action": action, "Actor": actor, "scope": "local", "timeNano": at}


async def test_the_engines_own_events_are_in_the_stream(session, manager, engine, told):
    await manager.cluster.run("web", replicas=0)
    foreign = {**local("create", START), "Type": "service", "scope": "swarm"}
    engine.events = [local("start", START - 1), foreign, local("die", START + SECOND)]
    assert await told() == ["container start one", "node create vm", "service create web", "container die one"]
    asked = [line for line in engine.asked if "filters" in line]
    assert await told(type="service") == ["service create web"]
    assert [line for line in engine.asked if "filters" in line] == asked, "it has nothing to say to that"


async def test_an_engine_that_ends_its_stream_ends_not_the_clusters(session, manager, engine):
    async with following(session) as next_line:
        await eventually("the engine is followed", lambda: engine.open == 1)
        engine.leaving.set()
        await eventually("the engine has ended", lambda: engine.open == 0)
        await manager.cluster.run("web", replicas=0)
        assert await next_line() == "service create web"


async def test_a_node_without_an_engine_tells_the_clusters_events(session, manager, engine):
    engine.unreachable()
    async with following(session) as next_line:
        await manager.cluster.run("web", replicas=0)
        assert await next_line() == "service create web"


async def test_a_node_that_is_no_manager_tells_its_engines_events(session, engine, told):
    engine.events = [local("start", START)]
    assert await told() == ["container start one"]


async def test_a_snapshot_in_the_place_of_entries_ends_no_stream(session, manager):
    cluster = manager.cluster
    await cluster.run("web", replicas=0)
    async with following(session) as next_line:
        cluster.store.restore(cluster.store.index + 5, iter(list(cluster.store.freeze()())))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await cluster.run("db", replicas=0)
        assert await next_line() == "service create db"


async def test_a_manager_that_stops_ends_the_stream(session, manager):
    async with session.get(BASE + "?filters=" + quote('{"scope":["swarm"]}')) as response:
        assert response.status == 200
        manager.cluster.control.close()
        assert await asyncio.wait_for(response.read(), 20) == b""


async def test_a_reader_that_hangs_up_ends_its_engines_stream(session, manager, engine):
    response = await session.get(BASE)
    await eventually("the engine is followed", lambda: engine.open == 1)
    response.close()
    await eventually("it no longer is", lambda: engine.open == 0)


async def test_the_docker_command_shows_them(session, manager, docker):
    await manager.cluster.run("web", replicas=0)
    shown = await docker("events", "--since", "0", "--until", str(START // SECOND + 10_000), "--filter", "type=service")
    (line,) = shown.lines
    assert line.split(" ", 1)[1].startswith("service create ")
    assert line.endswith("(name=web)")


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--filter", "type=service", "--filter", "event=create"),
        ("--format", "json"),
        ("--format", "{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}} {{.TimeNano}}"),
        ("--format", "{{.Scope}} {{json .Actor.Attributes}}"),
        ("--filter", "colour=red"),
        ("--filter", "type"),
    ],
)
async def test_our_command_shows_what_dockers_does(session, manager, engine, docker, socket_path, flags):
    engine.events = [local("start", START + 5)]
    await manager.cluster.run("web", replicas=0)
    bounds = ("--since", "0", "--until", str(START // SECOND + 10_000))
    theirs = await docker.run("system", "events", *bounds, *flags)
    ours = await PyswarmCli(socket_path).run("system", "events", *bounds, *flags)
    assert ours.stdout == theirs.stdout
    assert ours.exit == theirs.exit
    if theirs.exit == 0:
        assert await PyswarmCli(socket_path).run("events", *bounds, *flags) == ours
    else:
        assert ours.stderr.strip() in theirs.stderr.replace("docker system", "pyswarm system")
