"""The orchestrators and all agents in one: every service has exactly the tasks that it wants, and all of them run."""

from collections.abc import Sequence
from dataclasses import replace

from core.ids import IdSource
from core.model import (
    ContainerStatus,
    Node,
    Service,
    ServiceMode,
    Task,
    TaskState,
    TaskStatus,
    UpdateState,
    UpdateStatus,
)
from manager.store import Event, EventKind, Transaction


class InstantTasks:
    """A Controller."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    def start(self, tx: Transaction, now: int) -> int | None:
        return self.step(tx, (), now)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for node in list(tx.nodes()):
            if node.role is not node.spec.role:
                tx.update(replace(node, role=node.spec.role))
        for event in events:
            if event.kind is EventKind.DELETE and isinstance(event.object, Service):
                self._remove(tx, list(tx.tasks_of_service(event.object.id)))
        for service in list(tx.services()):
            self._converge(tx, service, now)
        return None

    def _converge(self, tx: Transaction, service: Service, now: int) -> None:
        wanted = self._wanted(tx, service)
        tasks = list(tx.tasks_of_service(service.id))
        old = [task for task in tasks if task.spec != service.spec.task]
        excess = [task for task in tasks if task not in old and (task.slot, task.node_id) not in wanted]
        self._remove(tx, old + excess)
        there = {(task.slot, task.node_id) for task in tasks if task not in old}
        for slot, node_id in wanted:
            if (slot, node_id) not in there:
                tx.create(self._task(service, slot, node_id, now))
        if old:
            tx.update(replace(service, update_status=_finished(service, now)))

    def _wanted(self, tx: Transaction, service: Service) -> list[tuple[int, str]]:
        nodes = sorted((node for node in tx.nodes()), key=lambda node: node.status.addr)
        if service.spec.mode is ServiceMode.GLOBAL:
            return [(0, node.id) for node in nodes]
        replicas = 1 if service.spec.replicas is None else service.spec.replicas
        return [(slot, self._node(nodes, slot).id) for slot in range(1, replicas + 1)]

    def _node(self, nodes: Sequence[Node], slot: int) -> Node:
        return nodes[(slot - 1) % len(nodes)]

    def _task(self, service: Service, slot: int, node_id: str, now: int) -> Task:
        return Task(
            id=self._ids(),
            service_id=service.id,
            service_name=service.spec.name,
            slot=slot,
            node_id=node_id,
            spec=service.spec.task,
            spec_version=service.spec_version,
            ports=service.endpoint.ports,
            status=TaskStatus(now, TaskState.RUNNING, "started", container=ContainerStatus("c" * 64, 4711)),
        )

    def _remove(self, tx: Transaction, tasks: Sequence[Task]) -> None:
        for task in tasks:
            tx.delete(Task, task.id)


def _finished(service: Service, now: int) -> UpdateStatus:
    status = service.update_status
    if status is not None and status.state is UpdateState.ROLLBACK_STARTED:
        return UpdateStatus(UpdateState.ROLLBACK_COMPLETED, now, now, "rollback completed")
    return UpdateStatus(UpdateState.COMPLETED, now, now, "update completed")
