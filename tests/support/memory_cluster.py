"""The leader's real parts over a cluster in memory that settles at once: control, store, orchestrators, scheduler.

What takes time is played: the log (every proposal is committed), the agents and the role manager (InstantAgents).
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from time import time_ns

from core.clock import SECOND, ManualClock
from core.ids import new_id
from core.model import (
    Cluster,
    ContainerSpec,
    LogLine,
    LogOptions,
    Node,
    NodeDescription,
    NodeSpec,
    NodeState,
    NodeStatus,
    Platform,
    Plugin,
    Resources,
    Role,
    Service,
    ServiceSpec,
    Task,
    TaskSpec,
)
from manager.control import Control
from manager.controllers import new_controllers
from manager.replicator import Replicator
from manager.store import Commit, Event, Store, Transaction, encode_entry
from manager.turns import Turns
from raft import Member
from tests.support.instant_agents import InstantAgents
from tests.support.one_manager import LoneConsensus

START = 1_795_244_780 * SECOND
HOUR = 3600 * SECOND
DESCRIPTION = NodeDescription(
    platform=Platform("x86_64", "linux"),
    resources=Resources(2 * 10**9, 25_276_502_016),
    engine_version="20.10.24+dfsg1",
    plugins=(Plugin("Log", "awslogs"), Plugin("Log", "fluentd")),
)


class MemoryCluster:
    """Tests look at what it holds, add nodes, say what containers wrote, and break it by setting `error`."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.store = Store()
        self.error: Exception | None = None
        """Raised by every call that reads, if set."""
        self.lines: list[LogLine] = []
        self.log_options: LogOptions | None = None
        self.unreachable: set[str] = set()
        """Ids of managers."""
        self.agents = InstantAgents()
        self._replicator = Replicator(self.store, _Settling(self.store, self.clock, self.agents), self.clock)
        self.control = Control(
            self.store,
            self._replicator,
            self.clock,
            read_barrier=self._answer,
            members=self.members,
            logs=lambda *asked: self.logs(*asked),
            is_suspect=lambda node_id: False,
        )

    def make_ages_steady(self) -> None:
        """Turns the clock on, by less than an hour: Docker's command rounds ages to hours, and what is made from now on
        has the same one for half an hour, as two commands are to say that are compared."""
        self.clock.advance((time_ns() - self.clock.now()) % HOUR)

    async def found(self, cluster: Cluster, hostname: str) -> Node:
        """Makes the cluster and its first manager."""
        await self._replicator.update(lambda tx: tx.create(cluster))
        return await self.add_node(hostname, Role.MANAGER)

    async def add_node(self, hostname: str, role: Role = Role.WORKER) -> Node:
        node = Node(
            id=new_id(),
            spec=NodeSpec(role=role),
            role=role,
            description=replace(DESCRIPTION, hostname=hostname),
            status=NodeStatus(NodeState.READY, addr=f"10.231.0.{len(self.nodes) + 1}"),
        )
        await self._replicator.update(lambda tx: tx.create(node))
        return self.nodes[node.id]

    async def run(self, name: str, replicas: int = 1) -> Service:
        task = TaskSpec(container=ContainerSpec(image="busybox"))
        return await self.control.create_service(ServiceSpec(name, task=task, replicas=replicas), name.encode())

    async def write(self, change: Callable[[Transaction], None]) -> None:
        await self._replicator.update(change)

    @property
    def cluster(self) -> Cluster:
        assert self.store.cluster is not None
        return self.store.cluster

    @property
    def nodes(self) -> dict[str, Node]:
        return {node.id: node for node in self.store.nodes()}

    @property
    def services(self) -> dict[str, Service]:
        return {service.id: service for service in self.store.services()}

    @property
    def tasks(self) -> dict[str, Task]:
        return {task.id: task for task in self.store.tasks()}

    def members(self) -> tuple[Member, ...]:
        """The first manager leads."""
        managers = [node for node in self.nodes.values() if node.role is Role.MANAGER]
        return tuple(
            Member(node.id, f"{node.status.addr}:2377", node.id not in self.unreachable, leader=position == 0)
            for position, node in enumerate(managers)
        )

    async def logs(
        self, service_ids: Sequence[str], task_ids: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        self.log_options = options
        for line in self.lines:
            if line.service_id in service_ids or line.task_id in task_ids:
                yield line

    async def _answer(self) -> None:
        if self.error is not None:
            raise self.error


class _Settling(LoneConsensus):
    """After every change it lets the controllers react, until none has more to do: the clock jumps to what they wait
    for."""

    def __init__(self, store: Store, clock: ManualClock, agents: InstantAgents) -> None:
        super().__init__(store)
        self._clock = clock
        self._turns = Turns([*new_controllers(new_id, lambda node_id: False), agents])
        self._wake_up: int | None = None
        self._events: list[Event] = []
        store.watch(self._take)

    async def propose(self, command: bytes, request_id: bytes) -> int:
        index = await super().propose(command, request_id)
        while self._events or self._wake_up is not None:
            if not self._events and self._wake_up is not None:
                self._clock.advance(max(0, self._wake_up - self._clock.now()))
            await self._settle()
        return index

    async def _settle(self) -> None:
        events, self._events = self._events, []
        transaction = self._store.transaction()
        self._wake_up = self._turns.take(transaction, events, self._clock.now())
        changes = transaction.changes()
        transaction.rollback()
        if changes:
            entry = encode_entry(changes, self._clock.now(), self._store.spec)
            await super().propose(entry, new_id().encode())

    def _take(self, commit: Commit) -> None:
        self._events.extend(commit.events)
