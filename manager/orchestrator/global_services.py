"""Global services: one task on every node that may have it. The node is the slot."""

from collections.abc import Sequence

from core.ids import IdSource
from core.model import Node, Service, ServiceMode, Task, TaskState
from manager.orchestrator.restart import may_replace, restart
from manager.orchestrator.tasks import (
    in_order,
    is_dead,
    is_dirty,
    is_live,
    is_wanted,
    may_have,
    must_leave,
    new_task,
    node_changed,
    satisfies,
    spec_changed,
    successor,
    want,
)
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200
"""Writes after which a step ends."""


class GlobalOrchestrator:
    """A Controller."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._services: dict[str, None] = {}
        """The global ones."""
        self._pairs: Worklist[tuple[str, str]] = Worklist()
        """(service, node) to look at."""
        self._tasks: Worklist[str] = Worklist()
        """Tasks that have ended."""
        self._alarms: Alarms[str] = Alarms()
        """Tasks that have ended, but are not to be replaced yet."""

    def start(self, tx: Transaction, now: int) -> int | None:
        for service in tx.services():
            self._take_in(tx, service)
        self._tasks.extend(task.id for task in tx.tasks() if self._has_ended(task))
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event)
        self._tasks.extend(self._alarms.take_due(now))
        begin = tx.mark
        while self._tasks or self._pairs:
            if tx.mark - begin >= MAX_WRITES:
                return now
            if self._tasks:
                self._look_at(tx, self._tasks.pop(), now)
            else:
                self._reconcile(tx, *self._pairs.pop(), now)
        return self._alarms.next

    def _observe(self, tx: Transaction, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if event.kind is EventKind.DELETE:
                self._services.pop(item.id, None)
            elif spec_changed(event):
                self._take_in(tx, item)
        elif isinstance(item, Node):
            if node_changed(event):
                self._pairs.extend((service_id, item.id) for service_id in self._services)
        elif isinstance(item, Task) and event.kind is not EventKind.DELETE and self._has_ended(item):
            self._tasks.add(item.id)

    def _has_ended(self, task: Task) -> bool:
        return task.service_id in self._services and is_wanted(task) and is_dead(task)

    def _take_in(self, tx: Transaction, service: Service) -> None:
        if service.spec.mode is ServiceMode.GLOBAL:
            self._services[service.id] = None
            self._pairs.extend((service.id, node.id) for node in tx.nodes())
            self._pairs.extend((service.id, str(slot)) for slot in tx.slots(service.id))

    def _look_at(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not is_wanted(task):
            return
        if not may_have(tx.node(task.node_id), service):
            want(tx, task, TaskState.SHUTDOWN)
            return
        time = restart(tx, service, task, self._ids, now)
        if time is not None:
            self._alarms.set(task.id, time)

    def _reconcile(self, tx: Transaction, service_id: str, node_id: str, now: int) -> None:
        service, node = tx.service(service_id), tx.node(node_id)
        if service is None:
            return
        tasks = in_order(tx.tasks_of_slot(service_id, node_id))
        if node is None:
            # Nothing will ever be told of them again, so there is no history to keep.
            for task in tasks:
                want(tx, task, TaskState.REMOVE)
            return
        wanted = [task for task in tasks if is_wanted(task)]
        # What was asked for when they ended may have set them a delay.
        self._tasks.extend(task.id for task in wanted if is_dead(task))
        live = [task for task in wanted if is_live(task)]
        if must_leave(node) or not satisfies(node, service.spec.task):
            for task in live:
                want(tx, task, TaskState.SHUTDOWN)
        elif not any(is_dirty(tx, task, service) for task in live):
            for task in live[1:]:
                want(tx, task, TaskState.SHUTDOWN)
            if not wanted and may_have(node, service):
                self._fill(tx, service, node_id, tasks, now)

    def _fill(self, tx: Transaction, service: Service, node_id: str, tasks: Sequence[Task], now: int) -> None:
        last = tasks[-1] if tasks else None
        if last is None:
            tx.create(new_task(service, 0, node_id, self._ids, now, TaskState.RUNNING))
        elif is_dirty(tx, last, service) or may_replace(tx, service, last, now):
            tx.create(successor(service, last, self._ids, now))
