"""A scheduler on a stage, and tasks that wait for it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from core.model import (
    ContainerSpec,
    GenericResource,
    LogDriver,
    Mount,
    Placement,
    Platform,
    PortConfig,
    PublishMode,
    ResourceRequirements,
    Resources,
    Task,
    TaskSpec,
    TaskState,
    TaskStatus,
)
from manager.scheduler import Scheduler
from tests.support.stage import Stage, make_node


class Scheduling(Stage):
    def __init__(self, max_tasks: int = 500) -> None:
        self.suspects: set[str] = set()
        super().__init__(Scheduler(self.suspects.__contains__, max_tasks))

    def put_nodes(self, count: int, **kind: object) -> list[str]:
        """Alike, and ready unless `kind` says otherwise; their ids, from node0 on."""
        return [self.put(make_node(f"node{number}", **kind)).id for number in range(count)]

    def waiting(self, service_id: str, count: int = 1, **wishes: object) -> list[str]:
        """Makes new tasks that wait for a node; their ids."""
        made = [waiting_task(f"{service_id}.{self.writes()}.{number}", service_id, **wishes) for number in range(count)]
        return [self.put(task).id for task in made]

    def becomes(self, task_id: str, state: TaskState, desired: TaskState | None = None) -> None:
        task = self.task(task_id)
        status = replace(task.status, state=state)
        self.put(replace(task, status=status, desired_state=task.desired_state if desired is None else desired))

    def node_of(self, task_id: str) -> str:
        task = self.task(task_id)
        assert bool(task.node_id) == (task.status.state >= TaskState.ASSIGNED), task
        return task.node_id

    def where(self, service_id: str) -> Counter[str]:
        """How many live tasks of the service each node has."""
        return Counter(
            task.node_id
            for task in self.tx.tasks_of_service(service_id)
            if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING
        )

    def reason(self, task_id: str) -> str:
        task = self.task(task_id)
        assert task.status.state is TaskState.PENDING
        return task.status.err


def waiting_task(
    task_id: str,
    service_id: str,
    *,
    version: int = 1,
    node_id: str = "",
    cpus: float = 0,
    memory: int = 0,
    constraints: Sequence[str] = (),
    platforms: Sequence[Platform] = (),
    preferences: Sequence[str] = (),
    host_ports: Sequence[int] = (),
    generic: Mapping[str, int] | None = None,
    max_replicas: int = 0,
    mounts: Sequence[Mount] = (),
    log_driver: str | None = None,
    slot: int = 0,
) -> Task:
    kinds = tuple(GenericResource(kind, value=number) for kind, number in (generic or {}).items())
    reservations = Resources(int(cpus * 10**9), memory, kinds) if cpus or memory or kinds else None
    spec = TaskSpec(
        container=ContainerSpec(mounts=tuple(mounts)),
        resources=ResourceRequirements(reservations=reservations) if reservations else None,
        placement=Placement(tuple(constraints), tuple(platforms), tuple(preferences), max_replicas),
        log_driver=None if log_driver is None else LogDriver(log_driver),
    )
    return Task(
        id=task_id,
        service_id=service_id,
        service_name=service_id,
        slot=slot,
        node_id=node_id,
        spec=spec,
        spec_version=version,
        ports=tuple(
            PortConfig(target_port=80, published_port=port, publish_mode=PublishMode.HOST) for port in host_ports
        ),
        status=TaskStatus(state=TaskState.PENDING),
    )
