"""Who may speak to a relay, and what they may ask it for."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from identity.model import PemBundle
from ingress.client import RelayPorts
from ingress.relay.frames import DATA, GOAWAY, OPEN, OPENED, REFUSED, open_payload
from tests.support.certificates import DAY, Issuer
from tests.support.ports import free_port
from tests.support.relays import Peer, Relays, Server, ask, published, relays


@pytest.fixture
async def cluster() -> AsyncIterator[Relays]:
    """Node 2 with a relay; node 3 is in the cluster, and whoever a test makes it."""
    async with relays() as started:
        await started.start(2)
        yield started


def node3(cluster: Relays) -> PemBundle:
    return cluster.issuer.credentials("node3").bundle


async def peer(cluster: Relays, shown: PemBundle) -> Peer:
    return await Peer.connect(2, cluster.relay_port, shown)


async def served(cluster: Relays, shown: PemBundle, server: Server) -> bool:
    """Whether node 2's relay connects whoever shows this certificate to the task."""
    try:
        caller = await peer(cluster, shown)
    except OSError:
        return False
    caller.say(OPEN, 1, open_payload(server.name, server.port))
    frame = await caller.hear()
    await caller.close()
    return frame is not None and frame[0] == OPENED


async def test_a_node_of_the_cluster_is_served(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    caller = await peer(cluster, node3(cluster))
    caller.say(OPEN, 1, open_payload("a", server.port))
    assert await caller.hear() == (OPENED, 1, b"")
    assert await caller.hear() == (DATA, 1, b"a\n")
    await caller.close()


@pytest.mark.parametrize("stranger", ["foreign root", "other cluster", "expired", "not yet valid", "unknown node"])
async def test_strangers_are_refused(cluster: Relays, stranger: str) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    issuer = cluster.issuer
    shown = {
        "foreign root": lambda: foreign(issuer, "node3"),
        "other cluster": lambda: issuer.credentials("node3", cluster_id="another").bundle,
        "expired": lambda: issuer.credentials("node3", now=time.time_ns() - 3 * DAY).bundle,
        "not yet valid": lambda: issuer.credentials("node3", now=time.time_ns() + 3 * DAY).bundle,
        "unknown node": lambda: issuer.credentials("node4").bundle,
    }[stranger]()
    assert not await served(cluster, shown, server)
    assert await served(cluster, node3(cluster), server)
    assert server.connections == 1
    assert (await cluster.ports[2].stats())["refused_peers"] == 1


def foreign(issuer: Issuer, node_id: str) -> PemBundle:
    """A certificate by another root of the same name, from someone who believes ours."""
    other = Issuer(issuer.cluster_id).credentials(node_id)
    return replace(other.bundle, root=issuer.root)


async def test_a_removed_node_is_cut_off_at_once(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    port = free_port()
    await cluster.apply(published(1, port, server))
    caller = await peer(cluster, node3(cluster))
    caller.say(OPEN, 1, open_payload("a", server.port))
    assert await caller.hear() == (OPENED, 1, b"")
    await cluster.apply(published(2, port, server, nodes=(2,)))
    while await caller.hear() is not None:
        continue
    await caller.close()
    assert not await served(cluster, node3(cluster), server)


async def test_only_tasks_of_the_plan_are_reached(cluster: Relays) -> None:
    listed, unlisted = await Server("a", 2).start(), await Server("b", 2).start()
    port = free_port()
    await cluster.apply(published(1, port, listed))
    caller = await peer(cluster, node3(cluster))
    wishes = [("b", unlisted.port), ("a", unlisted.port), ("", 22), ("a", 0), ("127.0.0.1", 22), ("a" * 64, 1)]
    for number, (task, wished) in enumerate(((task or "?", port) for task, port in wishes), start=1):
        caller.say(OPEN, number, open_payload(task, wished))
        assert await caller.hear() == (REFUSED, number, b"")
    await caller.close()
    assert (listed.connections, unlisted.connections) == (0, 0)


async def test_a_relay_that_is_not_the_node_it_should_be_gets_nothing(cluster: Relays) -> None:
    """Someone else of the cluster has taken node 3's address."""
    await cluster.start(3, cluster.issuer.credentials("node4"))
    port = free_port()
    theirs, own = await Server("theirs", 3).start(), await Server("own", 2).start()
    await cluster.apply(published(1, port, theirs, own, nodes=(2, 3, 4)))
    assert [await ask(2, port) for _ in range(4)] == ["own"] * 4
    assert theirs.connections == 0


async def test_rotated_credentials_are_used_for_new_streams_and_open_ones_stay() -> None:
    async with relays() as cluster:
        for node in (2, 3):
            await cluster.start(node)
        port = free_port()
        await cluster.apply(published(1, port, await Server("a", 3).start()))
        reader, writer = await asyncio.open_connection("127.0.0.2", port)
        assert await reader.readline() == b"a\n"
        new = Issuer(cluster.issuer.cluster_id)
        await cluster.ports[3].rotate(new.credentials("node3"))
        with pytest.raises(ConnectionError):
            await ask(2, port)  # the two do not believe each other now
        await cluster.ports[2].rotate(new.credentials("node2"))
        assert await ask(2, port) == "a"
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        writer.close()


async def test_who_was_connected_before_a_rotation_must_connect_anew(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    caller = await peer(cluster, node3(cluster))
    caller.say(OPEN, 1, open_payload("a", server.port))
    assert await caller.hear() == (OPENED, 1, b"")
    assert await caller.hear() == (DATA, 1, b"a\n")
    await cluster.ports[2].rotate(Issuer(cluster.issuer.cluster_id).credentials("node2"))
    assert await caller.hear() == (GOAWAY, 0, b"")
    caller.say(OPEN, 3, open_payload("a", server.port))
    assert await caller.hear() == (REFUSED, 3, b"")
    await caller.close()


async def test_a_restarted_daemon_leaves_connections_between_relays_alone(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    credentials = cluster.issuer.credentials("node2")
    await cluster.ports[2].rotate(credentials)
    await cluster.apply(published(1, free_port(), server))
    caller = await peer(cluster, node3(cluster))
    caller.say(OPEN, 1, open_payload("a", server.port))
    assert await caller.hear() == (OPENED, 1, b"")
    assert await caller.hear() == (DATA, 1, b"a\n")
    await cluster.ports[2].stop()
    await cluster.start(2, credentials)
    await cluster.apply(published(2, free_port(), server))
    caller.say(OPEN, 2, open_payload("a", server.port))
    assert await caller.hear() == (OPENED, 2, b"")
    await caller.close()


async def test_half_open_connections_are_bounded_and_do_not_keep_nodes_out(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    idle = [await asyncio.open_connection("127.0.0.2", cluster.relay_port) for _ in range(200)]
    assert await served(cluster, node3(cluster), server)
    for _, writer in idle:
        writer.close()
    ports = cluster.ports[2]
    while (await ports.stats())["relays_in"]:  # noqa: ASYNC110 - the relay is another process
        await asyncio.sleep(0.02)


async def garbage(ports: RelayPorts, data: bytes, relay_port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.2", relay_port)
    try:
        writer.write(data)
        writer.write_eof()
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()
    await ports.stats()


CLIENT_HELLO = bytes.fromhex("160301007a010000760303") + bytes(range(32))
noise = st.binary(max_size=2000) | st.binary(max_size=200).map(lambda tail: CLIENT_HELLO + tail)


async def test_garbage_to_the_relay_port_does_no_harm(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    loop = asyncio.get_running_loop()

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(noise)
    def attack(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(garbage(cluster.ports[2], data, cluster.relay_port), loop).result()

    await asyncio.to_thread(attack)
    assert await served(cluster, node3(cluster), server)


async def test_garbage_from_a_node_of_the_cluster_costs_it_its_connection_only(cluster: Relays) -> None:
    server = await Server("a", 2).start()
    await cluster.apply(published(1, free_port(), server))
    other = await peer(cluster, node3(cluster))
    other.say(OPEN, 1, open_payload("a", server.port))
    assert await other.hear() == (OPENED, 1, b"")
    loop = asyncio.get_running_loop()

    async def send(data: bytes) -> None:
        caller = await peer(cluster, node3(cluster))
        caller.say_bytes(data)
        await caller.close()

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=500))
    def attack(data: bytes) -> None:
        asyncio.run_coroutine_threadsafe(send(data), loop).result()

    await asyncio.to_thread(attack)
    assert await other.hear() == (DATA, 1, b"a\n")
    await other.close()
