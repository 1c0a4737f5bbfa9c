"""Jobs: tasks that run until they are done. A replicated job has so many slots, of which so many may be in progress at
a time; a global one runs once on every node that may have it.

Each update of the job is another run of it: the tasks of the runs before are taken away.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from core.ids import IdSource
from core.model import Node, Service, ServiceMode, Task, TaskState
from manager.orchestrator.restart import is_filled, replace_task, restart, still_runs
from manager.orchestrator.tasks import (
    in_order,
    is_dead,
    is_wanted,
    iteration_of,
    may_have,
    must_leave,
    new_task,
    node_changed,
    satisfies,
    spec_changed,
    want,
)
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Slot, Transaction, slot_of

MAX_WRITES = 200
"""Writes after which a step ends."""
MAX_LOOKS = 1_000
"""Slots after which it ends."""


@dataclass
class _Run:
    """How far a job has come. Nothing but an index: it is found out anew whenever the job is gone through."""

    mode: ServiceMode
    busy: set[Slot] = field(default_factory=set)
    """Slots in progress: of this run, or of one before that is still being stopped."""
    next: int = 1
    """A replicated job's first slot that has not been tried yet."""
    again: list[int] = field(default_factory=list)
    """Its slots before or after that which may be to begin, as a heap."""

    def take_slot(self, completions: int) -> int | None:
        """The lowest slot that may be to begin; None if there is none."""
        if self.again and (self.again[0] <= self.next or self.next > completions):
            return heappop(self.again)
        if self.next > completions:
            return None
        self.next += 1
        return self.next - 1


class JobOrchestrator:
    """A Controller. A job is gone through when it is made or run again; then a task's event touches only its slot."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._runs: dict[str, _Run] = {}
        self._services: Worklist[str] = Worklist()
        """To be gone through."""
        self._slots: Worklist[tuple[str, Slot]] = Worklist()
        """To be looked at."""
        self._alarms: Alarms[tuple[str, Slot]] = Alarms()
        """Those whose task has failed, but is not to be replaced yet."""
        self._relieved: Worklist[str] = Worklist()
        """Replicated jobs that may begin more slots."""

    def start(self, tx: Transaction, now: int) -> int | None:
        self._services.extend(service.id for service in tx.services())
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event)
        self._slots.extend(self._alarms.take_due(now))
        begin, looks = tx.mark, 0
        while self._services or self._slots or self._relieved:
            if tx.mark - begin >= MAX_WRITES or looks >= MAX_LOOKS:
                return now
            looks += 1
            if self._services:
                self._go_through(tx, self._services.pop())
            elif self._slots:
                self._look(tx, *self._slots.pop(), now)
            else:
                self._begin(tx, self._relieved.pop(), begin + MAX_WRITES, now)
        return self._alarms.next

    def _observe(self, tx: Transaction, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if event.kind is EventKind.DELETE:
                self._runs.pop(item.id, None)
            elif spec_changed(event):
                self._services.add(item.id)
        elif isinstance(item, Task):
            if item.service_id in self._runs and (is_dead(item) or event.kind is EventKind.DELETE):
                self._slots.add((item.service_id, slot_of(item)))
        elif isinstance(item, Node) and node_changed(event):
            tasks = tx.tasks_of_node(item.id)
            self._slots.extend((task.service_id, slot_of(task)) for task in tasks if task.service_id in self._runs)
            everywhere = [key for key, run in self._runs.items() if run.mode is ServiceMode.GLOBAL_JOB]
            self._slots.extend((service_id, item.id) for service_id in everywhere)

    def _go_through(self, tx: Transaction, service_id: str) -> None:
        service = tx.service(service_id)
        if service is None or not service.spec.mode.is_job:
            return
        run = self._runs[service_id] = _Run(service.spec.mode)
        self._slots.extend((service_id, slot) for slot in tx.slots(service_id))
        if run.mode is ServiceMode.GLOBAL_JOB:
            self._slots.extend((service_id, node.id) for node in tx.nodes())
        else:
            self._relieved.add(service_id)

    def _look(self, tx: Transaction, service_id: str, slot: Slot, now: int) -> None:
        """Finds out where a slot stands, and sees to what has ended in it or must leave its node."""
        run, service = self._runs.get(service_id), tx.service(service_id)
        if run is None or service is None:
            return
        self._alarms.clear((service_id, slot))
        for task in tx.tasks_of_slot(service_id, slot):
            if task.job_iteration != iteration_of(service) or (isinstance(slot, str) and tx.node(slot) is None):
                want(tx, task, TaskState.REMOVE)
        mine = _of_this_run(tx, service, slot)
        completed = any(task.status.state is TaskState.COMPLETE for task in mine)
        for task in mine:
            if is_wanted(task) and task.status.state is not TaskState.COMPLETE:
                self._tend(tx, service, task, completed, now)
        if isinstance(slot, str):
            if not is_filled(tx, service, _of_this_run(tx, service, slot), now) and may_have(tx.node(slot), service):
                tx.create(new_task(service, 0, slot, self._ids, now, TaskState.READY))
            return
        run.busy.discard(slot)
        if _is_busy(tx, service_id, slot):
            run.busy.add(slot)
        elif slot <= service.spec.completions and not is_filled(tx, service, _of_this_run(tx, service, slot), now):
            heappush(run.again, slot)
        self._relieved.add(service_id)

    def _tend(self, tx: Transaction, service: Service, task: Task, completed: bool, now: int) -> None:
        """A task of this run that is wanted, and has not completed; `completed` says that another of its slot has, as
        one does that was lost with its node for a while."""
        everywhere = service.spec.mode is ServiceMode.GLOBAL_JOB
        node = tx.node(task.node_id)
        if completed and (is_dead(task) or task.desired_state is TaskState.READY):
            want(tx, task, TaskState.SHUTDOWN)
        elif is_dead(task):
            if everywhere and not may_have(node, service):
                want(tx, task, TaskState.SHUTDOWN)
            elif (time := restart(tx, service, task, self._ids, now)) is not None:
                self._alarms.set((service.id, slot_of(task)), time)
        elif everywhere:
            if must_leave(node) or node is None or not satisfies(node, service.spec.task):
                want(tx, task, TaskState.SHUTDOWN)
        elif task.node_id and must_leave(node):
            replace_task(tx, service, task, self._ids, now)

    def _begin(self, tx: Transaction, service_id: str, limit: int, now: int) -> None:
        """Begins as many slots as may be in progress beside those that are, up to the write numbered `limit`."""
        run, service = self._runs.get(service_id), tx.service(service_id)
        if run is None or service is None:
            return
        while len(run.busy) < service.spec.concurrency:
            if tx.mark >= limit:
                self._relieved.add(service_id)
                return
            slot = run.take_slot(service.spec.completions)
            if slot is None:
                return
            if not is_filled(tx, service, _of_this_run(tx, service, slot), now):
                tx.create(new_task(service, slot, "", self._ids, now, TaskState.READY))
                run.busy.add(slot)


def _of_this_run(tx: Transaction, service: Service, slot: Slot) -> list[Task]:
    iteration = iteration_of(service)
    return in_order(task for task in tx.tasks_of_slot(service.id, slot) if task.job_iteration == iteration)


def _is_busy(tx: Transaction, service_id: str, slot: Slot) -> bool:
    return any(
        (is_wanted(task) and task.status.state is not TaskState.COMPLETE) or still_runs(tx, task)
        for task in tx.tasks_of_slot(service_id, slot)
    )
