"""Agents and a servicer over real gRPC streams."""

import asyncio
from random import Random

import grpc
import pytest

from core import codec
from core.clock import SteadyClock
from core.errors import NotLeader
from core.model import Secret, SecretSpec, TaskState, TaskStatus
from core.rpc import abort
from identity.channels import CHANNEL_OPTIONS
from proto import dispatcher_pb2 as pb
from proto.dispatcher_pb2_grpc import DispatcherServicer, add_DispatcherServicer_to_server
from tests.support.ports import free_port
from tests.support.tasks import make_task
from worker.agent import Agent
from worker.database import MemoryDatabase
from worker.executor.fake import FakeExecutor
from worker.link import over_channel
from worker.published import NoPublishedPorts

LOOP = asyncio.SelectorEventLoop


class Leader(DispatcherServicer):
    """Assigns `tasks` to whoever comes, with so many secrets of a quarter of a MiB, and acks."""

    def __init__(self, *tasks, secrets=0):
        self.tasks = tasks
        self.secrets = [Secret(id=f"secret{number}", spec=SecretSpec(data=bytes(1 << 18))) for number in range(secrets)]
        self.leader = None
        self.statuses = {}
        self.sessions = 0
        self.changed = asyncio.Event()

    async def Session(self, requests, context):
        if self.leader is not None:
            await abort(context, NotLeader(self.leader))
        self.sessions += 1
        async for request in requests:
            match request.WhichOneof("body"):
                case "register":
                    yield pb.DispatcherMessage(welcome=pb.Welcome(session_id="session"))
                    for secret in self.secrets:
                        part = pb.Assignments(secrets=[codec.encode(secret)], more=True)
                        yield pb.DispatcherMessage(assignments=part)
                    assignments = pb.Assignments(results_in=1, tasks=codec.pack_tasks(self.tasks))
                    yield pb.DispatcherMessage(assignments=assignments)
                case "status":
                    for update in request.status.updates:
                        self.statuses[update.task_id] = codec.decode(TaskStatus, update.status)
                    yield pb.DispatcherMessage(status_ack=pb.StatusAck(sequence=request.status.sequence))
            self.changed.set()

    async def until(self, condition):
        while not condition(self):
            self.changed.clear()
            await self.changed.wait()

    def all_running(self):
        return len(self.statuses) == len(self.tasks) and all(
            status.state == TaskState.RUNNING for status in self.statuses.values()
        )


class Host:
    """Servers, and agents of nodes that know some of them."""

    def __init__(self):
        self._servers = []
        self._agents = {}

    async def serve(self, servicer, addr=""):
        addr = addr or f"127.0.0.1:{free_port()}"
        server = grpc.aio.server()
        add_DispatcherServicer_to_server(servicer, server)
        server.add_insecure_port(addr)
        await server.start()
        self._servers.append(server)
        return addr, server

    def agent(self, *managers):
        agent = Agent(
            connect=over_channel(
                lambda addr, *, options=(): grpc.aio.insecure_channel(addr, [*CHANNEL_OPTIONS, *options])
            ),
            managers=managers,
            executor=FakeExecutor(),
            database=MemoryDatabase(),
            published_ports=NoPublishedPorts(),
            clock=SteadyClock(),
            rng=Random(1),
            on_info=lambda info: None,
        )
        self._agents[agent] = asyncio.create_task(agent.run())
        return agent

    async def close(self):
        for job in self._agents.values():
            job.cancel()
            await asyncio.wait([job])
            assert job.cancelled(), job.exception()
        for server in self._servers:
            await server.stop(None)


@pytest.fixture
async def host():
    running = Host()
    yield running
    await running.close()


async def test_tasks_run_and_are_reported(host):
    leader = Leader(*(make_task(f"task-{number}") for number in range(100)))
    addr, _ = await host.serve(leader)
    agent = host.agent(addr)
    await leader.until(Leader.all_running)
    assert agent.connected


async def test_AGT_08_the_leader_that_a_follower_names_is_asked(host):
    leader, follower = Leader(make_task()), Leader()
    addr, _ = await host.serve(leader)
    follower.leader = addr
    wrong, _ = await host.serve(follower)
    host.agent(wrong)
    await leader.until(Leader.all_running)
    assert follower.sessions == 0


async def test_AGT_08_a_manager_that_dies_and_comes_back_is_found_again(host):
    leader = Leader(make_task())
    addr, server = await host.serve(leader)
    agent = host.agent(addr)
    await leader.until(Leader.all_running)
    await server.stop(None)
    again = Leader(make_task())
    await host.serve(again, addr)
    await again.until(Leader.all_running)
    assert agent.connected


async def test_AGT_08_a_description_that_changed_makes_a_new_session(host):
    leader = Leader(make_task())
    addr, _ = await host.serve(leader)
    agent = host.agent(addr)
    await leader.until(Leader.all_running)
    agent.reconnect()
    await leader.until(lambda it: it.sessions == 2)
    agent.reconnect()
    await leader.until(lambda it: it.sessions == 3)


class Way:
    """To `addr`; a slow one brings so many bytes a second at most. Once it stands still nothing goes on it any more,
    and nobody is told."""

    def __init__(self, addr, bytes_per_second=float("inf")):
        self._host, _, self._port = addr.partition(":")
        self._pace = bytes_per_second
        self._stands = asyncio.Event()
        self._writers = []

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.addr = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.close()

    def stand(self):
        self._stands.set()

    async def _join(self, reader, writer):
        inner_reader, inner_writer = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, inner_writer]
        await asyncio.gather(self._pass(reader, inner_writer), self._pass(inner_reader, writer))

    async def _pass(self, reader, writer):
        while data := await reader.read(1 << 12):
            await asyncio.sleep(len(data) / self._pace)
            if not self._stands.is_set():
                writer.write(data)
                await writer.drain()


async def test_AGT_08_a_manager_that_stands_still_is_left_though_its_connection_lasts(host):
    paused, successor = Leader(make_task()), Leader(make_task())
    addr, _ = await host.serve(paused)
    async with Way(addr) as way:
        other, _ = await host.serve(successor)
        host.agent(way.addr, other)
        await paused.until(Leader.all_running)
        way.stand()
        async with asyncio.timeout(30):
            await successor.until(Leader.all_running)


async def test_AGT_08_a_manager_that_is_only_slow_is_not_left(host):
    leader = Leader(make_task(), secrets=12)
    addr, _ = await host.serve(leader)
    async with Way(addr, bytes_per_second=600_000) as way:
        host.agent(way.addr)
        async with asyncio.timeout(60):
            await leader.until(Leader.all_running)
    assert leader.sessions == 1
