"""Replicated services: so many slots, each with one live task."""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heapreplace
from itertools import count, islice

from core.ids import IdSource
from core.model import Node, Service, ServiceMode, Task, TaskState
from manager.orchestrator.restart import evacuate, may_restart, restart
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
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 500
"""Tasks that one step makes or stops for one service."""


class ReplicatedOrchestrator:
    """A Controller. Events of a task touch its own slot only; a service is gone through when its spec changes."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._services: dict[str, None] = {}
        self._tasks: dict[str, None] = {}
        self._nodes: dict[str, None] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._services = {service.id: None for service in tx.services() if _is_replicated(service)}
        self._tasks = {task.id: None for task in tx.tasks() if is_wanted(task) and is_dead(task)}
        self._nodes = dict.fromkeys({task.node_id for task in tx.tasks() if task.node_id and is_live(task)})
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event)
        begin = tx.mark
        for node_id in _drain(self._nodes):
            if must_leave(tx.node(node_id)):
                self._tasks |= {task.id: None for task in tx.tasks_of_node(node_id) if is_live(task)}
        for task_id in _drain(self._tasks):
            self._look_at(tx, task_id, now)
            if tx.mark - begin > MAX_WRITES:
                return now
        for service_id in list(self._services):
            if self._reconcile(tx, service_id, now):
                del self._services[service_id]
            if tx.mark - begin > MAX_WRITES:
                return now
        return None

    def _observe(self, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if spec_changed(event) and _is_replicated(item):
                self._services[item.id] = None
        elif isinstance(item, Task):
            if event.kind is not EventKind.DELETE and item.slot and is_wanted(item) and is_dead(item):
                self._tasks[item.id] = None
        elif isinstance(item, Node) and (event.kind is EventKind.DELETE or must_leave(item)):
            self._nodes[item.id] = None

    def _look_at(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not _is_replicated(service) or not is_wanted(task):
            return
        if is_dead(task):
            restart(tx, service, task, self._ids, now)
        elif task.node_id and must_leave(tx.node(task.node_id)):
            evacuate(tx, service, task, self._ids, now)

    def _reconcile(self, tx: Transaction, service_id: str, now: int) -> bool:
        """Makes missing tasks, or stops surplus ones; True when the service needs no more of it."""
        service = tx.service(service_id)
        if service is None:
            return True
        slots: dict[int, list[Task]] = {}
        for task in tx.tasks_of_service(service_id):
            slots.setdefault(task.slot, []).append(task)
        filled = {slot for slot, tasks in slots.items() if self._is_filled(tx, service, tasks, now)}
        replicas = 1 if service.spec.replicas is None else service.spec.replicas
        if len(filled) > replicas:
            surplus = islice(_to_stop(filled, slots), min(MAX_WRITES, len(filled) - replicas))
            for slot in list(surplus):
                for task in slots[slot]:
                    want(tx, task, TaskState.REMOVE)
            return len(filled) - replicas <= MAX_WRITES
        missing = replicas - len(filled)
        free = (number for number in count(1) if number not in filled)
        for slot in islice(free, min(missing, MAX_WRITES)):
            tx.create(new_task(service, slot, "", self._ids, now, TaskState.RUNNING))
        return missing <= MAX_WRITES

    def _is_filled(self, tx: Transaction, service: Service, tasks: Sequence[Task], now: int) -> bool:
        """Whether the slot needs no new task: one lives, or the last one ended and shall not be replaced."""
        if any(is_live(task) for task in tasks):
            return True
        last = newest(task for task in tasks if task.desired_state < TaskState.REMOVE)
        if last is None or is_dirty(last, service) or not is_dead(last):
            return False
        return last.status.state in _ENDINGS and not may_restart(tx, service, last, now)


_ENDINGS = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)


def _to_stop(filled: set[int], slots: dict[int, list[Task]]) -> Iterator[int]:
    """Slots in the order in which they are given up: without a node first, then from the node with the most copies,
    there the ones that do not run first, and the highest slots first."""
    by_node: dict[str, list[tuple[bool, int]]] = {}
    for slot in filled:
        task = next((task for task in slots[slot] if is_live(task)), None)
        runs = task is not None and task.status.state is TaskState.RUNNING
        by_node.setdefault(task.node_id if task is not None else "", []).append((runs, -slot))
    for copies in by_node.values():
        copies.sort(reverse=True)
    yield from (-number for _, number in reversed(by_node.pop("", [])))
    crowds = [(-len(copies), copies[-1], node_id) for node_id, copies in by_node.items()]
    heapify(crowds)
    while crowds:
        _, (_, number), node_id = crowds[0]
        yield -number
        copies = by_node[node_id]
        copies.pop()
        if copies:
            heapreplace(crowds, (-len(copies), copies[-1], node_id))
        else:
            heappop(crowds)


def _is_replicated(service: Service) -> bool:
    return service.spec.mode is ServiceMode.REPLICATED


def _drain(queue: dict[str, None]) -> Iterator[str]:
    while queue:
        yield queue.popitem()[0]
