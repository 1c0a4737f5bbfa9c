"""Replicated services: so many slots, each with one live task."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from itertools import count, islice

from core.ids import IdSource
from core.model import Node, Service, ServiceMode, Task, TaskState
from manager.orchestrator.restart import is_filled, replace_task, restart
from manager.orchestrator.tasks import (
    is_dead,
    is_live,
    is_wanted,
    must_leave,
    new_task,
    replicas_of,
    spec_changed,
    want,
)
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200
"""Writes after which a step ends."""
MAX_LOOKS = 5_000
"""Slots after which it ends, if services have changed."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a service still needs to have as many slots as it asks for."""

    missing: deque[int] = field(default_factory=deque)
    surplus: deque[int] = field(default_factory=deque)


class ReplicatedOrchestrator:
    """A Controller. Events of a task touch its own slot only; a service is gone through when its spec changes."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._tasks: Worklist[str] = Worklist()
        """Tasks that have ended, or whose node cannot have them any more."""
        self._alarms: Alarms[str] = Alarms()
        """Tasks that have ended, but are not to be replaced yet."""
        self._services: Worklist[str] = Worklist()
        self._plans: dict[str, _Plan] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._services.extend(service.id for service in tx.services())
        good = {"", *(node.id for node in tx.nodes() if not must_leave(node))}
        for task in tx.tasks():
            if (task.node_id not in good or is_dead(task)) and is_wanted(task):
                self._tasks.add(task.id)
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event)
        self._tasks.extend(self._alarms.take_due(now))
        begin, looks = tx.mark, 0
        while self._tasks or self._services or self._plans:
            if tx.mark - begin >= MAX_WRITES or looks >= MAX_LOOKS:
                return now
            if self._tasks:
                self._look_at(tx, self._tasks.pop(), now)
            elif self._services:
                looks += self._make_plan(tx, self._services.pop(), now)
            else:
                self._carry_out(tx, begin + MAX_WRITES, now)
        return self._alarms.next

    def _observe(self, tx: Transaction, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if event.kind is EventKind.DELETE:
                self._plans.pop(item.id, None)
            elif spec_changed(event):
                self._services.add(item.id)
        elif isinstance(item, Task):
            if event.kind is not EventKind.DELETE:
                if is_wanted(item) and is_dead(item):
                    self._tasks.add(item.id)
            elif is_wanted(item):
                self._services.add(item.service_id)
        elif isinstance(item, Node) and (event.kind is EventKind.DELETE or must_leave(item)):
            self._tasks.extend(task.id for task in tx.tasks_of_node(item.id) if is_live(task))

    def _look_at(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not _is_replicated(service) or not is_wanted(task):
            return
        if is_dead(task):
            time = restart(tx, service, task, self._ids, now)
            if time is not None:
                self._alarms.set(task.id, time)
        elif task.node_id and must_leave(tx.node(task.node_id)):
            replace_task(tx, service, task, self._ids, now)

    def _make_plan(self, tx: Transaction, service_id: str, now: int) -> int:
        """Compares the slots that there are with those that shall be; how many there are."""
        self._plans.pop(service_id, None)
        service = tx.service(service_id)
        if service is None or not _is_replicated(service):
            return 0
        slots = {int(slot): tasks for slot, tasks in tx.slots(service_id).items()}
        # What was asked for when they ended may have set them a delay.
        self._tasks.extend(task.id for tasks in slots.values() for task in tasks if is_wanted(task) and is_dead(task))
        filled = {slot for slot, tasks in slots.items() if is_filled(tx, service, tasks, now)}
        replicas = replicas_of(service)
        if len(filled) > replicas:
            surplus = islice(_in_order_of_surrender(filled, slots), len(filled) - replicas)
            self._plans[service_id] = _Plan(surplus=deque(surplus))
        elif len(filled) < replicas:
            free = (slot for slot in count(1) if slot not in filled)
            self._plans[service_id] = _Plan(missing=deque(islice(free, replicas - len(filled))))
        return len(slots)

    def _carry_out(self, tx: Transaction, limit: int, now: int) -> None:
        """Goes on with the plan that was made first, up to the write numbered `limit`."""
        service_id, plan = next(iter(self._plans.items()))
        service = tx.service(service_id)
        while service is not None and tx.mark < limit:
            if plan.missing:
                slot = plan.missing.popleft()
                tasks = tx.tasks_of_slot(service_id, slot)
                if not is_filled(tx, service, tasks, now):
                    # The Starter knows how long those before it may take to stop.
                    desired = TaskState.READY if tasks else TaskState.RUNNING
                    tx.create(new_task(service, slot, "", self._ids, now, desired))
            elif plan.surplus:
                for task in tx.tasks_of_slot(service_id, plan.surplus.popleft()):
                    want(tx, task, TaskState.REMOVE)
            else:
                break
        if service is None or not (plan.missing or plan.surplus):
            del self._plans[service_id]


def _in_order_of_surrender(filled: set[int], slots: dict[int, Sequence[Task]]) -> Iterator[int]:
    """First those without a node, then from the node with the most copies; there the ones that do not run first, and
    the highest slots first."""
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
