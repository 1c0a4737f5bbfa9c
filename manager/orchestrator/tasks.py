"""What the orchestrators say of tasks, and the few ways in which they change them."""

from collections.abc import Iterable
from dataclasses import replace

from core.ids import IdSource
from core.model import Availability, Node, NodeState, Service, Task, TaskState, TaskStatus
from manager.store import Event, EventKind, Transaction, View


def is_wanted(task: Task) -> bool:
    """Whether it shall run, or be ready to."""
    return task.desired_state <= TaskState.RUNNING


def is_dead(task: Task) -> bool:
    """Whether it has ended, for whatever reason."""
    return task.status.state > TaskState.RUNNING


def is_live(task: Task) -> bool:
    return is_wanted(task) and not is_dead(task)


def newest(tasks: Iterable[Task]) -> Task | None:
    """Ids break ties: tasks of one entry were made at one time."""
    return max(tasks, key=lambda task: (task.meta.created_at or _PENDING, task.id), default=None)


_PENDING = 2**63
"""A task that is made in this very transaction is newer than all others."""


def must_leave(node: Node | None) -> bool:
    """Whether a task's node can no longer have it. A node that is only unknown keeps its tasks."""
    return node is None or node.status.state is NodeState.DOWN or node.spec.availability is Availability.DRAIN


def is_dirty(task: Task, service: Service) -> bool:
    """Whether `task` was made from another task spec, or for other ports, than the service now has."""
    if task.spec_version == service.spec_version:
        return False
    wanted = service.spec.endpoint.ports if service.spec.endpoint else ()
    return task.spec != service.spec.task or (task.status.state > TaskState.NEW and not _same_ports(task, wanted))


def _same_ports(task: Task, wanted: Iterable[object]) -> bool:
    """An automatic port of the spec stands for whatever was allocated to it."""
    held = [replace(port, published_port=0) for port in task.ports]
    return len(held) == len(tuple(wanted)) and all(port in task.ports or port in held for port in wanted)


def spec_changed(event: Event) -> bool:
    """Whether a service was made, or its spec became another."""
    return (
        isinstance(event.object, Service)
        and event.kind is not EventKind.DELETE
        and not (isinstance(event.old, Service) and event.old.spec == event.object.spec)
    )


def new_task(service: Service, slot: int, node_id: str, ids: IdSource, now: int, desired: TaskState) -> Task:
    return Task(
        id=ids(),
        service_id=service.id,
        service_name=service.spec.name,
        slot=slot,
        node_id=node_id,
        spec=service.spec.task,
        spec_version=service.spec_version,
        status=TaskStatus(now, TaskState.NEW, "created"),
        desired_state=desired,
    )


def want(tx: Transaction, task: Task, desired: TaskState) -> None:
    """Raises the desired state of `task`; it never goes back."""
    current = tx.task(task.id)
    if current is not None and current.desired_state < desired:
        tx.update(replace(current, desired_state=desired))


def tasks_of_place(view: View, task: Task) -> list[Task]:
    """All tasks that share `task`'s place: its slot, or for a global service its node."""
    found = view.tasks_of_slot(task.service_id, task.slot)
    return [other for other in found if task.slot or other.node_id == task.node_id]
