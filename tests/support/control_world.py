"""A leader's control API over a store in memory."""

from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

from core.clock import ManualClock
from core.model import (
    ContainerSpec,
    EndpointSpec,
    LogLine,
    LogOptions,
    Node,
    NodeDescription,
    NodeSpec,
    NodeState,
    NodeStatus,
    PortConfig,
    PublishMode,
    Role,
    Service,
    ServiceSpec,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.control import Control
from manager.store import Transaction
from raft import Member
from tests.support.one_manager import OneManager


class ControlWorld:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.manager = OneManager(self.clock)
        self.store = self.manager.store
        self.members: list[Member] = []
        self.suspects: set[str] = set()
        self.barriers = 0
        self.log_calls: list[tuple[Sequence[str], Sequence[str], LogOptions]] = []
        self.lines: list[LogLine] = []
        self.control = Control(
            self.store,
            self.manager.replicator,
            self.clock,
            read_barrier=self._barrier,
            members=lambda: self.members,
            logs=self._logs,
            is_suspect=self.suspects.__contains__,
        )

    async def create(self, name: str = "web", request: bytes = b"", **fields: object) -> Service:
        return await self.control.create_service(make_spec(name, **fields), request or name.encode())

    async def change(self, service: Service, **fields: object) -> Service:
        current = await self.control.get_service(service.id)
        return await self.control.update_service(service.id, current.meta.version, replace(current.spec, **fields))

    async def add_node(self, name: str, role: Role = Role.WORKER, state: NodeState = NodeState.READY) -> Node:
        """A manager is a member that can be reached."""
        node = Node(
            id=name,
            spec=NodeSpec(role=role),
            role=role,
            description=NodeDescription(hostname=f"host-{name}", engine_labels={"disk": "ssd"}),
            status=NodeStatus(state),
        )
        await self.manager.replicator.update(lambda tx: tx.create(node))
        if role is Role.MANAGER:
            self.members.append(Member(name, f"{name}:2377", reachable=True, leader=not self.members))
        return self.manager.node(name)

    async def add_task(
        self,
        task_id: str,
        service: Service,
        node_id: str = "",
        state: TaskState = TaskState.RUNNING,
        desired: TaskState = TaskState.RUNNING,
        slot: int = 1,
    ) -> None:
        task = Task(
            id=task_id,
            service_id=service.id,
            service_name=service.spec.name,
            slot=slot,
            node_id=node_id,
            spec=service.spec.task,
            spec_version=service.spec_version,
            status=TaskStatus(state=state),
            desired_state=desired,
        )
        await self.manager.replicator.update(lambda tx: tx.create(task))

    async def write(self, decide: Callable[[Transaction], None]) -> None:
        await self.manager.replicator.update(decide)

    def unreachable(self, node_id: str) -> None:
        self.members = [replace(member, reachable=member.node_id != node_id) for member in self.members]

    async def _barrier(self) -> None:
        self.barriers += 1

    async def _logs(
        self, services: Sequence[str], tasks: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        self.log_calls.append((services, tasks, options))
        for line in self.lines:
            yield line


def make_spec(name: str = "web", *, ports: Sequence[PortConfig] = (), **fields: object) -> ServiceSpec:
    task = TaskSpec(container=ContainerSpec(image="nginx"))
    endpoint = EndpointSpec(ports=tuple(ports)) if ports else None
    return ServiceSpec(name=name, **{"task": task, "endpoint": endpoint, **fields})


def ingress(published: int, target: int = 80) -> PortConfig:
    return PortConfig(target_port=target, published_port=published)


def host(published: int, target: int = 80) -> PortConfig:
    return PortConfig(target_port=target, published_port=published, publish_mode=PublishMode.HOST)
