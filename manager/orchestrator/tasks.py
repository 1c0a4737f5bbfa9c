"""What the orchestrators say of tasks, and the few ways in which they change them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.ids import IdSource
from core.model import Availability, Node, NodeState, Placement, Service, Task, TaskSpec, TaskState, TaskStatus
from manager.scheduler.constraint import matches, parse_constraints
from manager.store import Event, EventKind, Transaction, View, slot_of

_LATER = 2**63
"""The age of a task that is made in this very transaction: newer than all others."""
_BY_ITSELF = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)


def is_wanted(task: Task) -> bool:
    """Whether it shall run, or be ready to, or, of a job, come to its end."""
    return task.desired_state < TaskState.SHUTDOWN


def is_dead(task: Task) -> bool:
    """Whether it has ended, for whatever reason."""
    return task.status.state > TaskState.RUNNING


def is_live(task: Task) -> bool:
    return is_wanted(task) and not is_dead(task)


def ended_by_itself(task: Task) -> bool:
    """Not because a manager stopped it, nor with its node."""
    return task.status.state in _BY_ITSELF


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Oldest first. Ids break ties: tasks of one entry were made at one time."""
    return sorted(tasks, key=lambda task: (task.meta.created_at or _LATER, task.id))


def newest(tasks: Iterable[Task]) -> Task | None:
    return next(reversed(in_order(tasks)), None)


def neighbours(view: View, task: Task) -> Sequence[Task]:
    """All tasks of `task`'s slot, itself among them."""
    return view.tasks_of_slot(task.service_id, slot_of(task))


def must_leave(node: Node | None) -> bool:
    """Whether a task's node can no longer have it. A node that is only unknown keeps its tasks."""
    return node is None or node.status.state is NodeState.DOWN or node.spec.availability is Availability.DRAIN


def is_usable(node: Node | None) -> bool:
    """Whether the node takes new tasks."""
    return node is not None and node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE


def may_have(node: Node | None, service: Service) -> bool:
    """Whether the node may be given a new task of a global service; one that is paused keeps what it has."""
    return node is not None and is_usable(node) and satisfies(node, service.spec.task)


def satisfies(node: Node, spec: TaskSpec) -> bool:
    """Whether the node is one that the spec's constraints allow."""
    return spec.placement is None or matches(parse_constraints(spec.placement.constraints), node)


def is_dirty(view: View, task: Task, service: Service) -> bool:
    """Whether `task` must be replaced to be what the service now asks for.

    Other constraints alone are no reason as long as the task's node satisfies them; other credentials are none at all,
    since the image has been pulled.
    """
    if task.spec_version == service.spec_version:
        return False
    wanted = service.spec.task
    if task.spec is not wanted and _with_credentials_of(wanted, task.spec) != wanted:
        node = view.node(task.node_id)
        if not _differ_in_constraints_only(task.spec, wanted) or node is None or not satisfies(node, wanted):
            return True
    # Ports are given to a task by the allocator: before that it has none.
    return task.status.state > TaskState.NEW and not _has_ports(task, service)


def _differ_in_constraints_only(one: TaskSpec, other: TaskSpec) -> bool:
    # What mostly differs is compared first: many tasks may be asked about at once.
    one = _with_credentials_of(other, one)
    return one.container == other.container and _without_constraints(one) == _without_constraints(other)


def _with_credentials_of(other: TaskSpec, spec: TaskSpec) -> TaskSpec:
    if spec.container.registry_auth == other.container.registry_auth:
        return spec
    return replace(spec, container=replace(spec.container, registry_auth=other.container.registry_auth))


def _without_constraints(spec: TaskSpec) -> TaskSpec:
    return replace(spec, placement=replace(spec.placement or Placement(), constraints=()))


def _has_ports(task: Task, service: Service) -> bool:
    """An automatic port of the spec stands for whatever was allocated to it."""
    ports = service.spec.endpoint.ports if service.spec.endpoint else ()
    if task.ports == ports:
        return True
    wanted, held = Counter(ports), Counter(task.ports)
    stated = Counter({port: number for port, number in wanted.items() if port.published_port})
    picked = Counter(replace(port, published_port=0) for port in (held - stated).elements())
    return stated <= held and picked == wanted - stated


def spec_changed(event: Event) -> bool:
    """Whether a service was made, or came to another version of its spec."""
    return (
        isinstance(event.object, Service)
        and event.kind is not EventKind.DELETE
        and not (isinstance(event.old, Service) and event.old.spec_version == event.object.spec_version)
    )


def node_changed(event: Event) -> bool:
    """Whether a node came, went, or may be one for other tasks than before."""
    node, old = event.object, event.old
    if not isinstance(node, Node):
        return False
    return (
        event.kind is EventKind.DELETE
        or not isinstance(old, Node)
        or (node.spec, node.role, node.description) != (old.spec, old.role, old.description)
        or (node.status.state, node.status.addr) != (old.status.state, old.status.addr)
    )


def replicas_of(service: Service) -> int:
    """How many slots a replicated service asks for."""
    return 1 if service.spec.replicas is None else service.spec.replicas


def iteration_of(service: Service) -> int | None:
    """Which run of a job it is at; None if it is no job."""
    if not service.spec.mode.is_job:
        return None
    return service.job_status.iteration if service.job_status else 0


def goal_of(service: Service) -> TaskState:
    """What its tasks shall come to."""
    return TaskState.COMPLETE if service.spec.mode.is_job else TaskState.RUNNING


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
        job_iteration=iteration_of(service),
    )


def successor(service: Service, task: Task, ids: IdSource, now: int) -> Task:
    """The next task of `task`'s slot, to be started by the Starter when its time has come."""
    return new_task(service, task.slot, "" if task.slot else task.node_id, ids, now, TaskState.READY)


def want(tx: Transaction, task: Task, desired: TaskState) -> None:
    """Raises the desired state of `task`; it never goes back."""
    current = tx.task(task.id)
    if current is not None and current.desired_state < desired:
        tx.update(replace(current, desired_state=desired))
