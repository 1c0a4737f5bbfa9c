"""A leader's dispatcher and log broker, served over gRPC with mutual TLS, and agents that a test plays by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import replace
from typing import Any
from unittest import mock

import grpc

from core.clock import Clock, ManualClock, SteadyClock
from core.codec import encode
from core.ids import new_id
from core.model import (
    ContainerStatus,
    Endpoint,
    NodeDescription,
    PortConfig,
    Role,
    Service,
    ServiceSpec,
    Task,
    TaskState,
    TaskStatus,
)
from core.rpc import error_of
from identity.access import AccessInterceptor
from identity.channels import SERVER_OPTIONS
from identity.credentials import Credentials
from manager.ca import authorize
from manager.dispatcher import Dispatcher, DispatcherServicer
from manager.logbroker import LogBroker
from manager.logbroker.subscription import Patience
from manager.store import Transaction, encode_entry
from proto import dispatcher_pb2 as pb
from proto.dispatcher_pb2_grpc import DispatcherStub, add_DispatcherServicer_to_server
from raft import Leadership, Member
from tests.support.certificates import Issuer
from tests.support.one_manager import OneManager

WEB = (PortConfig(target_port=80, published_port=8080),)


def make_service(service_id: str = "web", ports: tuple[PortConfig, ...] = ()) -> Service:
    return Service(id=service_id, spec=ServiceSpec(name=service_id), endpoint=Endpoint(ports))


def make_task(
    task_id: str,
    node_id: str,
    state: TaskState = TaskState.ASSIGNED,
    desired: TaskState = TaskState.RUNNING,
    service_id: str = "web",
    ports: tuple[PortConfig, ...] = (),
    address: str = "172.17.0.2",
) -> Task:
    container = ContainerStatus(container_id="c", address=address) if state >= TaskState.RUNNING else None
    return Task(
        id=task_id,
        service_id=service_id,
        service_name=service_id,
        node_id=node_id,
        ports=ports,
        status=TaskStatus(state=state, container=container),
        desired_state=desired,
    )


class Leader(OneManager):
    """`begin` makes it lead, `resign` makes it a follower."""

    def __init__(self, clock: Clock, patience: Patience | None) -> None:
        super().__init__(clock)
        self.members: list[Member] = []
        self.suspicions = 0
        self.dispatcher = Dispatcher(
            self.store,
            self.replicator,
            clock,
            new_id,
            lambda: tuple(self.members),
            lambda: self.consensus.leadership.leader_addr,
            self._suspects,
        )
        self.logs = LogBroker(self.store, self.dispatcher.sessions, clock, new_id, patience)
        self.addr = ""
        self.issuer = Issuer()
        self._running: list[asyncio.Task[None]] = []

    def begin(self) -> None:
        self._running = [asyncio.create_task(self.dispatcher.run()), asyncio.create_task(self.logs.run())]

    async def resign(self, leader_addr: str = "two:2377") -> None:
        self.consensus.leadership = Leadership(term=2, leader_id="two", leader_addr=leader_addr)
        await self.stop()

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def put(self, *objects: Any) -> None:
        """Creates objects, or puts them in the place of those with their ids."""

        def write(tx: Transaction) -> None:
            for item in objects:
                there = tx.task(item.id) if isinstance(item, Task) else tx.service(item.id)
                if there is None:
                    tx.create(item)
                else:
                    tx.update(replace(item, meta=there.meta))

        await self.change(write)

    def apply(self, decide: Callable[[Transaction], object]) -> None:
        """One entry of the log, at once: nothing else happens meanwhile."""
        transaction = self.store.transaction()
        decide(transaction)
        changes = transaction.changes()
        transaction.rollback()
        self.store.apply(self.store.index + 1, b"", encode_entry(changes, 0, self.store.spec))

    @asynccontextmanager
    async def agent(self, node_id: str, **register: Any) -> AsyncIterator["PlayedAgent"]:
        """An agent of the node that has sent its registration."""
        async with self.silent_agent(node_id) as agent:
            await agent.register(**register)
            yield agent

    @asynccontextmanager
    async def silent_agent(self, node_id: str, credentials: Credentials | None = None) -> AsyncIterator["PlayedAgent"]:
        shown = credentials or self.issuer.credentials(node_id, cluster_id=self.cluster.id)
        async with shown.channel(self.addr) as channel:
            agent = PlayedAgent(channel)
            try:
                yield agent
            finally:
                agent.call.cancel()

    def _suspects(self) -> None:
        self.suspicions += 1


class PlayedAgent:
    """One session, from the agent's end. `seen` is every message that came, in order."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.stub: Any = DispatcherStub(channel)
        self.call = self.stub.Session()
        self.seen: list[pb.DispatcherMessage] = []
        self.session_id = ""
        self._taken = 0

    async def send(self, **body: Any) -> None:
        """Does nothing if the session has ended: whoever reads is told why."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await self.call.write(pb.AgentMessage(**body))

    async def register(self, description: NodeDescription | None = None, addr: str = "") -> None:
        described = encode(description or NodeDescription(hostname="host"))
        await self.send(register=pb.Register(description=described, addr=addr))

    async def next(self, body: str) -> Any:
        """The next message of that kind that has not been asked for; those before it are passed over.

        Raises the error that the session ends with.
        """
        async with asyncio.timeout(30):
            while True:
                for message in self._unseen():
                    if message.WhichOneof("body") == body:
                        return getattr(message, body)
                await self._read()

    async def welcomed(self) -> pb.SessionInfo:
        """After all that a session begins with."""
        welcome = await self.next("welcome")
        self.session_id = welcome.session_id
        return welcome.info

    async def end(self) -> Exception | None:
        """The error that the session ends with; None if it is closed without."""
        async with asyncio.timeout(30):
            try:
                while await self._read():
                    pass
            except Exception as error:
                return error
        return None

    async def report(self, sequence: int, **states: TaskState | TaskStatus) -> None:
        updates = [
            pb.TaskStatusUpdate(
                task_id=task_id, status=encode(state if isinstance(state, TaskStatus) else TaskStatus(state=state))
            )
            for task_id, state in states.items()
        ]
        await self.send(status=pb.StatusReport(sequence=sequence, updates=updates))

    async def publish(self, *requests: pb.PublishLogsRequest) -> None:
        try:
            await self.stub.PublishLogs(iter(requests))
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure

    def _unseen(self) -> Iterator[pb.DispatcherMessage]:
        while self._taken < len(self.seen):
            self._taken += 1
            yield self.seen[self._taken - 1]

    async def _read(self) -> bool:
        try:
            message = await self.call.read()
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure) from failure
        if not isinstance(message, pb.DispatcherMessage):
            return False
        self.seen.append(message)
        return True


@asynccontextmanager
async def leading(
    clock: Clock | None = None,
    prepare: Callable[[Leader], Any] | None = None,
    patience: Patience | None = None,
) -> AsyncIterator[Leader]:
    """A leader of a cluster with the nodes n1 and n2. `prepare` may write to its store before it leads.

    With a clock that is moved by hand no time passes, so none is excused either, whenever this process is held up.
    """
    leader = Leader(clock or SteadyClock(), patience)
    await leader.found()
    for node_id in ("n1", "n2"):
        await leader.add_node(node_id)
    if prepare is not None:
        await prepare(leader)
    interceptor = AccessInterceptor(lambda who, access: authorize(leader.store, who, access))
    server = grpc.aio.server(interceptors=[interceptor], options=list(SERVER_OPTIONS))
    add_DispatcherServicer_to_server(DispatcherServicer(leader.dispatcher, leader.logs), server)
    own = leader.issuer.credentials("one", Role.MANAGER, cluster_id=leader.cluster.id)
    port = server.add_secure_port("127.0.0.1:0", own.server_credentials())
    await server.start()
    leader.addr = f"127.0.0.1:{port}"
    leader.members.append(Member("one", leader.addr, reachable=True, leader=True))
    excused = (
        mock.patch("manager.dispatcher.liveness.Liveness.excuse") if isinstance(clock, ManualClock) else nullcontext()
    )
    with excused:
        leader.begin()
        try:
            yield leader
        finally:
            await leader.stop()
            await server.stop(0)
