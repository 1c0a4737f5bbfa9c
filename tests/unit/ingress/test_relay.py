"""Real relay processes on loopback addresses: clients, tasks, and what goes wrong between them."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.model import IngressAck, IngressState, PortError
from ingress.client import RelayPorts
from ingress.control import Settings
from ingress.relay.sockets import reset_on_close
from tests.support.ports import free_port
from tests.support.relays import Relays, Server, ask, echoed, published, relays
from tests.support.waiting import eventually


@pytest.fixture
async def cluster() -> AsyncIterator[Relays]:
    """Nodes 2 and 3, each with a relay."""
    async with relays() as started:
        await started.start(2)
        await started.start(3)
        yield started


async def refused(node: int, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(f"127.0.0.{node}", port)
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


async def test_every_node_answers_with_every_task(cluster: Relays) -> None:
    port = free_port()
    servers = [await Server("a", 2).start(), await Server("b", 3).start(), await Server("c", 3).start()]
    await cluster.apply(published(1, port, *servers))
    for node in (2, 3):
        assert {await ask(node, port) for _ in range(3)} == {"a", "b", "c"}


async def test_a_relay_listens_on_all_addresses_unless_told_otherwise() -> None:
    async with relays() as cluster:
        credentials = cluster.issuer.credentials("node2")
        ports = cluster.ports[2] = RelayPorts(cluster.path(2), credentials, Settings(relay_port=cluster.relay_port))
        await ports.start()
        port = free_port()
        assert await ports.apply(published(1, port, await Server("a", 2).start())) == IngressAck(1)
        assert [await ask(node, port) for node in (1, 2, 3)] == ["a"] * 3


async def test_a_node_without_a_task_answers_and_many_streams_share_a_connection(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    assert await asyncio.gather(*(ask(2, port) for _ in range(50))) == ["a"] * 50
    assert (await cluster.ports[2].stats())["relays_out"] == 1


@pytest.mark.parametrize("node", [2, 3])
async def test_large_transfers_arrive_whole_both_ways(cluster: Relays, node: int) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    data = os.urandom(8_000_000)
    assert await echoed(node, port, data) == data
    many = await asyncio.gather(*(echoed(node, port, data[:500_000]) for _ in range(10)))
    assert many == [data[:500_000]] * 10


async def test_a_dead_backend_is_passed_over(cluster: Relays) -> None:
    port = free_port()
    dead = [await Server("dead here", 2).start(), await Server("dead there", 3).start()]
    await cluster.apply(published(1, port, *dead, await Server("alive", 3).start()))
    for server in dead:
        await server.stop()
    for node in (2, 3):
        assert [await ask(node, port) for _ in range(6)] == ["alive"] * 6
    assert (await cluster.ports[2].stats())["retried"] > 0
    assert (await cluster.ports[2].stats())["failed"] == 0


async def test_a_dead_node_is_passed_over(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 2).start(), await Server("b", 3).start()))
    await cluster.ports.pop(3).stop(kill=True)
    assert [await ask(2, port) for _ in range(6)] == ["a"] * 6


async def test_a_task_that_comes_up_in_time_still_gets_the_client(cluster: Relays) -> None:
    port, late = free_port(), Server("late", 3)
    await cluster.apply(published(1, port, late))

    async def asked_while_it_comes_up() -> str:
        before = (await cluster.ports[2].stats())["retried"]
        asking = asyncio.create_task(ask(2, port))
        while (await cluster.ports[2].stats())["retried"] == before:  # noqa: ASYNC110 - the relay is another process
            await asyncio.sleep(0)
        await late.start()
        return await asking

    while True:
        try:
            assert await asked_while_it_comes_up() == "late"
            return
        except ConnectionResetError:  # it was too late, on a machine that stood still: again
            await late.stop()


async def test_with_every_backend_dead_the_client_is_told(cluster: Relays) -> None:
    port = free_port()
    dead = await Server("dead", 3).start()
    await dead.stop()
    await cluster.apply(published(1, port, dead))
    with pytest.raises(ConnectionResetError):
        await ask(2, port)
    assert (await cluster.ports[2].stats())["failed"] == 1


async def test_a_removed_backend_gets_no_new_connections_and_keeps_its_open_ones(cluster: Relays) -> None:
    port = free_port()
    old, new = await Server("old", 3).start(), await Server("new", 3).start()
    await cluster.apply(published(1, port, old))
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    assert await reader.readline() == b"old\n"
    await cluster.apply(published(2, port, new))
    assert [await ask(2, port) for _ in range(5)] == ["new"] * 5
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    assert old.connections == 1


async def test_a_withdrawn_port_is_closed_and_its_open_connections_stay(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    assert await reader.readline() == b"a\n"
    await cluster.apply(IngressState(2, (), ("node2", "node3")))
    assert await refused(2, port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"
    writer.close()


async def test_without_tasks_a_port_refuses_but_stays_ours(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port))
    assert await refused(2, port)
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.2", port))
    await cluster.apply(published(2, port, await Server("a", 2).start()))
    assert await ask(2, port) == "a"
    await cluster.apply(published(3, port))
    assert await refused(2, port)
    await cluster.apply(published(4, port, await Server("b", 2).start()))
    assert await ask(2, port) == "b"


async def test_a_taken_port_is_reported_alone_and_served_once_it_is_free() -> None:
    async with relays() as cluster:
        acks: list[IngressAck] = []
        ports = cluster.ports[2] = cluster.make(2, on_ports=acks.append)
        await ports.start()
        port, taken = free_port(), free_port()
        server = await Server("a", 2).start()
        both = published(1, port, server).ports + published(1, taken, server).ports
        with socket.create_server(("127.0.0.2", taken)), capture_logs() as said:
            ack = await ports.apply(IngressState(1, both, ("node2",)))
            message = f"port {taken} cannot be served: another program on this node uses it"
            assert ack == IngressAck(1, (PortError(taken, message),))
            assert ports.unserved == ack.errors
            assert await ports.apply(IngressState(1, both, ("node2",))) == ack
            assert [line["reason"] for line in said if line["log_level"] == "warning"] == [message]
            assert await ask(2, port) == "a"
        await eventually("the report that the port is served", lambda: acks)
        assert acks == [IngressAck(1)]
        assert not ports.unserved
        assert await ask(2, taken) == "a"


async def test_a_taken_relay_port_is_reported_and_local_tasks_are_served() -> None:
    async with relays() as cluster:
        ports = cluster.ports[2] = cluster.make(2)
        with socket.create_server(("127.0.0.2", cluster.relay_port)):
            await ports.start()
            port = free_port()
            ack = await ports.apply(published(1, port, await Server("a", 2).start()))
            assert [error.published_port for error in ack.errors] == [cluster.relay_port]
            assert await ask(2, port) == "a"


async def test_a_client_that_vanishes_ends_the_tasks_connection(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    for node in (2, 3):
        _, writer = await asyncio.open_connection(f"127.0.0.{node}", port)
        writer.transport.abort()
    for node in (2, 3):
        await no_connections(cluster, node)


async def test_a_task_that_breaks_off_is_not_mistaken_for_one_that_ends(cluster: Relays) -> None:
    port = free_port()

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        reset_on_close(writer.get_extra_info("socket"))
        writer.close()

    broken = Server("broken", 3)
    listening = await asyncio.start_server(break_off, "127.0.0.1", 0)
    broken.port = listening.sockets[0].getsockname()[1]
    await cluster.apply(published(1, port, broken))
    for node in (2, 3):
        reader, writer = await asyncio.open_connection(f"127.0.0.{node}", port)
        writer.write(b"break\n")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
    listening.close()


async def no_connections(cluster: Relays, node: int) -> None:
    while (await cluster.ports[node].stats())["open"]:  # noqa: ASYNC110 - the relay is another process
        await asyncio.sleep(0.02)


async def test_a_slow_reader_holds_back_its_sender_alone(cluster: Relays) -> None:
    """What the relays keep for a reader that does not read is bounded: the sender waits, others do not."""
    port, size = free_port(), 256 << 20
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    reader, writer = await asyncio.open_connection("127.0.0.2", port)
    assert await reader.readline() == b"a\n"
    writer.write(bytes(size))
    before = size
    while (left := writer.transport.get_write_buffer_size()) < before:
        before = left
        await asyncio.sleep(0.5)
    assert left > 0
    assert await ask(2, port) == "a"
    for ports in cluster.ports.values():
        assert resident(int((await ports.stats())["pid"])) < 64 << 20
    writer.write_eof()
    received = 0
    while data := await reader.read(1 << 20):
        received += len(data)
    assert received == size
    writer.close()


def resident(pid: int) -> int:
    """Bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def test_as_many_clients_as_there_is_room_for_are_served_and_the_rest_wait(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 2).start()))
    pid = int((await cluster.ports[2].stats())["pid"])
    files = len(os.listdir(f"/proc/{pid}/fd"))
    soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (files + 20, hard))
    asking = [asyncio.create_task(ask(2, port)) for _ in range(100)]
    assert await asyncio.gather(*asking) == ["a"] * 100
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))


async def test_short_streams_get_a_connection_apart_from_bulk(cluster: Relays) -> None:
    port = free_port()
    await cluster.apply(published(1, port, await Server("a", 3).start()))
    bulk = asyncio.create_task(repeat(lambda: echoed(2, port, bytes(32 << 20))))
    while (await cluster.ports[2].stats())["relays_out"] < 2:
        assert await ask(2, port) == "a"
        assert not bulk.done()
    bulk.cancel()
    await asyncio.wait([bulk])


async def repeat(what: Callable[[], Awaitable[object]]) -> None:
    while True:
        await what()
