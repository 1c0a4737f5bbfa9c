"""What is not the cluster's is passed on to the node's own engine, streams and taken-over connections included."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from pyswarm.engineapi.app import make_app
from pyswarm.engineapi.handlers import networks
from pyswarm.engineapi.ports import InitRequest
from pyswarm.engineapi.server import Server
from tests.support.fake_engine import FakeEngine
from tests.support.waiting import eventually

BASE = "http://docker/v1.44"


async def test_containers_images_and_volumes_are_the_engines(session, engine, docker):
    engine.answers = {
        "/containers/json": [{"Id": "c" * 64, "Image": "busybox", "Names": ["/web.1"]}],
        "/images/json": [],
    }
    assert (await docker("ps", "--format", "{{.Names}}")).lines == ["web.1"]
    assert (await docker("images", "-q")).lines == []
    assert engine.asked == ["GET /containers/json", "GET /images/json"]


async def test_a_body_and_a_query_arrive_as_they_were_sent(session, engine):
    engine.answers = {"/containers/create": {"Id": "new"}}
    async with session.post(f"{BASE}/containers/create?name=a%20b&x=%2F", json={"Image": "busybox"}) as response:
        assert response.status == 200
        assert await response.json() == {"Id": "new"}
        assert response.headers["Api-Version"] == "1.46", "who answers here is pyswarm"
    assert engine.asked == ['POST /containers/create?name=a%20b&x=/ {"Image": "busybox"}']


async def test_no_header_is_added(session, engine, socket_path):
    """What the client did not say that it reads, such as gzip, it is not sent."""
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    writer.write(b"GET /v1.44/containers/json HTTP/1.1\r\nHost: docker\r\nX-Mine: 1\r\n\r\n")
    await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    writer.close()
    assert engine.headers == {"Host", "X-Mine"}


async def test_the_engines_errors_are_the_callers(session, engine, docker):
    refused = await docker.run("inspect", "--type", "container", "nosuch")
    assert refused.stderr.strip() == "Error response from daemon: No such thing: /containers/nosuch/json"


@pytest.mark.parametrize(
    "path", ["/_ping", "/version", "/info", "/swarm", "/services", "/networks/ingress?scope=swarm", "/nodes"]
)
async def test_what_is_the_clusters_never_reaches_the_engine(session, engine, path):
    async with session.get(BASE + path):
        pass
    assert engine.asked == []


def network(name: str, network_id: str, **more):
    shown = {"Name": name, "Id": network_id, "Scope": "local", "Driver": "bridge", "Created": "2026-01-02T03:04:05Z"}
    return shown | {"Containers": {}, "Options": {}} | more


async def test_a_nodes_own_networks_are_its_engines(node, session, engine, docker):
    await node.init(InitRequest())
    bridge, users = network("bridge", "b" * 64), network("mine", "d" * 64)
    whole = bridge | {"Containers": {"c1": {"Name": "web.1"}}, "Options": {"mtu": "1500"}}
    engine.answers = {"/networks": [bridge, users], "/networks/bridge": whole, "/networks/bbbb": whole}
    listed = await docker("network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}")
    assert listed.lines[0] == f"{'b' * 64} bridge"
    assert [line.split()[1] for line in listed.lines] == ["bridge", "ingress"], "what it lacks, and what users made"
    for ref in ("bridge", "bbbb"):
        (shown,) = json.loads((await docker("network", "inspect", ref)).stdout)
        assert (shown["Id"], shown["Options"]) == (whole["Id"], whole["Options"])
        assert shown["Containers"]["c1"]["Name"] == "web.1"
    assert (await docker.run("network", "inspect", "mine")).exit == 1
    assert "cannot be removed" in (await docker.run("network", "rm", "bridge")).stderr
    assert not [line for line in engine.asked if "mine" in line or not line.startswith("GET ")]


async def test_without_an_engine_the_clusters_network_is_shown(node, session, engine, docker):
    await node.init(InitRequest())
    engine.unreachable()
    assert (await docker("network", "ls", "--format", "{{.Name}}")).lines == ["bridge", "host", "ingress", "none"]
    assert (await docker("network", "inspect", "ingress", "--format", "{{.Driver}}")).lines == ["relay"]
    assert "does not answer" in (await docker.run("network", "inspect", "bridge")).stderr


@pytest.mark.parametrize("nonsense", [False, True], ids=["silent", "nonsense"])
async def test_an_engine_that_answers_nothing_of_its_networks_is_as_one_that_is_gone(
    node, session, engine, docker, monkeypatch, nonsense
):
    monkeypatch.setattr(networks, "_PATIENCE", 0.1)
    await node.init(InitRequest())
    engine.silent = not nonsense
    engine.answers = {"/networks": b"<html>", "/networks/bridge": b"<html>"}
    async with asyncio.timeout(60):
        assert (await docker("network", "ls", "--format", "{{.Name}}")).lines == ["bridge", "host", "ingress", "none"]
        assert "does not answer" in (await docker.run("network", "inspect", "bridge")).stderr
        assert "cannot be removed" in (await docker.run("network", "rm", "bridge")).stderr


async def test_an_ambiguous_beginning_of_a_networks_id_is_refused(session, engine):
    engine.answers = {"/networks": [network("bridge", "ab" * 32), network("host", "ac" * 32)]}
    async with session.get(f"{BASE}/networks/a") as response:
        assert response.status == 400
        assert await response.json() == {"message": "network a is ambiguous (2 matches found)"}
    async with session.get(f"{BASE}/networks/b") as response:
        assert response.status == 404


async def test_an_engine_that_does_not_answer_is_named(node, session, engine, docker):
    engine.unreachable()
    refused = await docker.run("ps")
    assert f"this node's Docker Engine at {engine.url} does not answer" in refused.stderr
    async with session.post(f"{BASE}/exec/1/start", headers={"Connection": "Upgrade", "Upgrade": "tcp"}) as response:
        assert response.status == 503


@asynccontextmanager
async def taken_over(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection that is taken over as the docker command does it."""
    reader, writer = await asyncio.open_unix_connection(str(path))
    head = b"POST /v1.44/exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    writer.write(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    try:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert answer.startswith(b"HTTP/1.1 101 UPGRADED")
        yield reader, writer
    finally:
        writer.close()


async def talk(path: Path, *said: bytes) -> bytes:
    """What the other side says, until it ends."""
    async with taken_over(path) as (reader, writer):
        writer.writelines(said)
        writer.write_eof()
        return await asyncio.wait_for(reader.read(), 20)


@asynccontextmanager
async def talking(path: Path) -> AsyncIterator[asyncio.StreamReader]:
    """Both sides have heard each other: nothing is on its way, which a side that closes would throw away, and reset the
    connection."""
    async with taken_over(path) as (reader, writer):
        writer.write(b"hello\n")
        assert await asyncio.wait_for(reader.readexactly(6), 20) == b"HELLO\n"
        yield reader


async def test_a_connection_is_taken_over_in_both_directions(session, engine: FakeEngine, socket_path: Path):
    answer = await talk(socket_path, b"hello\n", b"world\n")
    assert answer == b"HELLO\nWORLD\nbye\n", "what is said after the end of the input still arrives"
    assert engine.asked == ["POST /exec/1/start {}"]
    await eventually("the engine's connection is closed", lambda: engine.open == 0)


@pytest.mark.parametrize("place", ["session", "grpc"])
async def test_a_build_with_buildkit_takes_its_connections_over(session, engine: FakeEngine, socket_path: Path, place):
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    head = f"POST /v1.41/{place} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    writer.write(head.encode() + b"X-Docker-Expose-Session-Uuid: one\r\n\r\n")
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    assert answer.startswith(b"HTTP/1.1 101 UPGRADED")
    assert b"Upgrade: h2c" in answer
    writer.write(b"pri * http/2.0\r\n\r\nsm\r\n\r\n")
    writer.write_eof()
    assert await asyncio.wait_for(reader.read(), 20) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nbye\n"
    writer.close()
    assert engine.asked == [f"POST /{place}"]
    assert "X-Docker-Expose-Session-Uuid" in engine.headers


async def test_much_is_carried_whole(session, socket_path: Path):
    data = bytes(range(32, 65)) * 40_000
    assert await talk(socket_path, data, data) == data + data + b"bye\n"


async def test_a_client_that_goes_away_ends_its_exec(session, engine: FakeEngine, socket_path: Path):
    async with talking(socket_path):
        assert engine.open == 1
    await eventually("the engine's connection is closed", lambda: engine.open == 0)


async def test_an_engine_that_goes_away_ends_the_exec(session, engine: FakeEngine, socket_path: Path):
    async with talking(socket_path) as reader:
        (echo,) = engine.echoes
        echo.close()
        assert await asyncio.wait_for(reader.read(), 20) == b""


async def test_a_daemon_that_stops_ends_what_is_handed_over(node, engine: FakeEngine, tmp_path: Path):
    server = Server(make_app(node), tmp_path / "second.sock")
    await server.start()
    async with talking(tmp_path / "second.sock") as reader:
        await asyncio.wait_for(server.stop(), 20)
        assert await asyncio.wait_for(reader.read(), 20) == b""
    await eventually("the engine's connection is closed", lambda: engine.open == 0)


async def test_half_an_answer_does_not_look_like_a_whole_one(session, engine):
    async with session.get(f"{BASE}/images/busybox/get") as response:
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_manager_keeps_its_nouns(node, session, engine, docker):
    await node.init(InitRequest())
    assert (await docker("node", "ls", "--format", "{{.Hostname}}")).lines == ["vm"]
    assert engine.asked == []
