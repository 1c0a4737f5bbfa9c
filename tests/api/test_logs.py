"""Log streams below the docker command."""

import asyncio

import aiohttp
import pytest

from core import errors
from core.model import ContainerSpec, LogLine, ServiceSpec, TaskSpec
from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.ports import InitRequest
from pyswarm.engineapi.server import Server
from tests.support.fake_node import FakeNode
from tests.support.pyswarm_cli import PyswarmCli

BASE = "http://docker/v1.44"


@pytest.fixture
async def manager(node: FakeNode) -> FakeNode:
    """With one service `web` of one task."""
    await node.init(InitRequest())
    await node.cluster.run("web")
    return node


@pytest.mark.parametrize(
    "query", ["", "stdout=0&stderr=0", "stdout=1&tail=x", "stdout=1&tail=-1", "stdout=1&since=x", "stdout=1&until=5"]
)
async def test_logs_must_be_asked_for_sensibly(session, manager, query):
    async with session.get(f"{BASE}/services/web/logs?{query}") as response:
        assert response.status == 400
        assert list(await response.json()) == ["message"]


async def test_log_options_are_handed_on(session, manager):
    async with session.get(f"{BASE}/services/web/logs?stderr=1&follow=true&since=5.25&tail=3") as response:
        assert response.status == 200
        assert await response.read() == b""
    options = manager.cluster.log_options
    assert (options.stdout, options.stderr, options.follow) == (False, True, True)
    assert (options.since, options.tail) == (5_250_000_000, 3)


async def test_a_log_that_breaks_off_says_why(session, manager):
    task = next(iter(manager.cluster.tasks.values()))

    async def broken(services, tasks, options):
        yield LogLine(task.service_id, task.node_id, task.id, 0, False, b"hello\n")
        raise errors.Unavailable("node vm2 does not answer")

    manager.cluster.logs = broken
    async with session.get(f"{BASE}/tasks/{task.id}/logs?stdout=1") as response:
        data = await response.read()
    assert data == b"\1\0\0\0\0\0\0\6hello\n\3\0\0\0\0\0\0\x2eError grabbing logs: node vm2 does not answer\n"


async def test_a_reader_that_hangs_up_ends_the_log_that_it_followed(session, manager):
    begun, ended = asyncio.Event(), asyncio.Event()

    async def silent(services, tasks, options):
        try:
            begun.set()
            await asyncio.Event().wait()
            yield LogLine()
        finally:
            ended.set()

    manager.cluster.logs = silent
    response = await session.get(f"{BASE}/services/web/logs?stdout=1&follow=1")
    assert response.status == 200
    await begun.wait()
    response.close()
    await asyncio.wait_for(ended.wait(), 10)


async def test_a_reader_that_hangs_up_ends_a_log_of_which_much_is_left(session, manager, monkeypatch):
    ended = asyncio.Event()
    given = []

    async def endless():
        try:
            while True:
                yield LogLine("service", "node", "task", 0, False, b"x" * 60_000)
        finally:
            ended.set()

    def logs(services, tasks, options):
        given.append(endless())  # and held, as by whatever else may know it
        return given[0]

    monkeypatch.setattr(manager.cluster.control, "logs", logs)
    async with session.get(f"{BASE}/services/web/logs?stdout=1&follow=true") as response:
        await response.content.readany()
    await ended.wait()


async def test_a_daemon_that_stops_does_not_wait_for_those_who_follow(manager, tmp_path):
    async def silent(services, tasks, options):
        await asyncio.Event().wait()
        yield LogLine()

    manager.cluster.logs = silent
    path = tmp_path / "second.sock"
    server = Server(make_app(manager), path)
    await server.start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as client:
        follower = await client.get(f"{BASE}/services/web/logs?stdout=1&follow=1")
        await asyncio.wait_for(server.stop(), 20)
        with pytest.raises(aiohttp.ClientError):
            await follower.read()


async def test_what_a_terminal_showed_comes_without_frames(session, manager):
    cluster = manager.cluster
    container = ContainerSpec(image="busybox", tty=True)
    service = await cluster.control.create_service(ServiceSpec("shell", task=TaskSpec(container=container)), b"shell")
    (task,) = cluster.store.tasks_of_service(service.id)
    cluster.lines = [LogLine(service.id, task.node_id, task.id, 10**9, False, b"hello\r\n")]
    for path in (f"/services/{service.id}", f"/tasks/{task.id}"):
        async with session.get(f"{BASE}{path}/logs?stdout=1&timestamps=1") as response:
            assert response.headers["Content-Type"] == "application/vnd.docker.raw-stream"
            assert await response.read() == b"1970-01-01T00:00:01.000000000Z hello\r\n"


async def test_our_command_and_dockers_show_a_terminals_log_only_raw(session, manager, docker, socket_path):
    cluster = manager.cluster
    container = ContainerSpec(image="busybox", tty=True)
    service = await cluster.control.create_service(ServiceSpec("shell", task=TaskSpec(container=container)), b"shell")
    (task,) = cluster.store.tasks_of_service(service.id)
    cluster.lines = [LogLine(service.id, task.node_id, task.id, 10**9, False, b"hello\r\n")]
    for target in ("shell", task.id):
        for command in (docker, PyswarmCli(socket_path)):
            refused = await command.run("service", "logs", target)
            assert (refused.exit, refused.stderr) == (1, "tty service logs only supported with --raw\n")
            assert (await command.run("service", "logs", "--raw", target)).stdout == "hello\r\n"


async def test_what_a_log_driver_adds_stands_among_the_details(session, manager, docker, socket_path):
    task = next(iter(manager.cluster.tasks.values()))
    ids = (task.service_id, task.node_id, task.id)
    manager.cluster.lines = [LogLine(*ids, 10**9, False, b"hello\n", details="a=b,tier=front")]
    context = (
        f"com.docker.swarm.node.id={ids[1]},com.docker.swarm.service.id={ids[0]},com.docker.swarm.task.id={ids[2]}"
    )
    async with session.get(f"{BASE}/tasks/{task.id}/logs?stdout=1&details=1") as response:
        assert (await response.read())[8:].decode() == f"a=b,{context},tier=front hello\n"
    assert manager.cluster.log_options.details
    for command in (docker, PyswarmCli(socket_path)):
        assert (await command("service", "logs", "--details", "web")).stdout.endswith("| a=b,tier=front hello\n")
        assert (await command("service", "logs", "web")).stdout.endswith("| hello\n")
