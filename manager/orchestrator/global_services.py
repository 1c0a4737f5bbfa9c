"""Global services: one task on every node that may have it. The node is the slot."""

from collections.abc import Sequence

from core.ids import IdSource
from core.model import Availability, Node, NodeState, Service, ServiceMode, Task, TaskState
from manager.orchestrator.restart import may_restart, restart
from manager.orchestrator.tasks import (
    is_dead,
    is_dirty,
    is_live,
    is_wanted,
    must_leave,
    new_task,
    newest,
    spec_changed,
    want,
)
from manager.scheduler.constraint import matches, parse_constraints
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 500


class GlobalOrchestrator:
    """A Controller."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._pairs: dict[tuple[str, str], None] = {}
        """(service, node) to look at."""
        self._tasks: dict[str, None] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._pairs.clear()
        for service in tx.services():
            self._all_nodes(tx, service)
        self._tasks = {task.id: None for task in tx.tasks() if not task.slot and is_wanted(task) and is_dead(task)}
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event)
        begin = tx.mark
        while self._tasks:
            self._look_at(tx, self._tasks.popitem()[0], now)
        while self._pairs:
            if tx.mark - begin > MAX_WRITES:
                return now
            (service_id, node_id), _ = self._pairs.popitem()
            self._reconcile(tx, service_id, node_id, now)
        return None

    def _observe(self, tx: Transaction, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if spec_changed(event):
                self._all_nodes(tx, item)
        elif isinstance(item, Node):
            if not isinstance(event.old, Node) or event.kind is EventKind.DELETE or _matters(event.old, item):
                for service in tx.services():
                    if _is_global(service):
                        self._pairs[service.id, item.id] = None
        elif isinstance(item, Task) and not item.slot and is_wanted(item) and is_dead(item):
            self._tasks[item.id] = None

    def _all_nodes(self, tx: Transaction, service: Service) -> None:
        if _is_global(service):
            self._pairs |= {(service.id, node.id): None for node in tx.nodes()}
            self._pairs |= {(service.id, task.node_id): None for task in tx.tasks_of_service(service.id)}

    def _look_at(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not _is_global(service):
            return
        if _may_have(tx.node(task.node_id), service):
            restart(tx, service, task, self._ids, now)
        else:
            want(tx, task, TaskState.SHUTDOWN)

    def _reconcile(self, tx: Transaction, service_id: str, node_id: str, now: int) -> None:
        service = tx.service(service_id)
        if service is None:
            return
        node = tx.node(node_id)
        here = [task for task in tx.tasks_of_node(node_id) if task.service_id == service_id]
        live = sorted((task for task in here if is_live(task)), key=lambda task: (task.meta.created_at, task.id))
        if must_leave(node) or (node is not None and not _matches(node, service)):
            for task in live:
                want(tx, task, TaskState.SHUTDOWN)
            return
        for surplus in live[1:] if not any(is_dirty(task, service) for task in live) else ():
            want(tx, surplus, TaskState.SHUTDOWN)
        if live or not _may_have(node, service):
            return
        last = newest(here)
        ended = last is not None and is_dead(last) and last.status.state in _ENDINGS and not is_dirty(last, service)
        if ended and last is not None and not may_restart(tx, service, last, now):
            return
        tx.create(new_task(service, 0, node_id, self._ids, now, TaskState.READY if ended else TaskState.RUNNING))


_ENDINGS = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)


def _is_global(service: Service) -> bool:
    return service.spec.mode is ServiceMode.GLOBAL


def _may_have(node: Node | None, service: Service) -> bool:
    """Whether the node may be given a new task; one that is paused keeps what it has."""
    return (
        node is not None
        and node.status.state is NodeState.READY
        and node.spec.availability is Availability.ACTIVE
        and _matches(node, service)
    )


def _matches(node: Node, service: Service) -> bool:
    placement = service.spec.task.placement
    return placement is None or matches(parse_constraints(placement.constraints), node)


def _matters(old: Node, new: Node) -> bool:
    return old.spec != new.spec or old.status.state != new.status.state or old.description != new.description
