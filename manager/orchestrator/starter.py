"""Raises tasks from READY to RUNNING when their time has come.

A replacement waits until the task before it in its place has stopped (or its node is down, or its stop grace and a
margin have passed), so that two copies of a single writer never overlap; and, if that task ended by itself, until the
restart delay has passed. All of it can be read off the store: a new leader waits only for what is left.
"""

from collections.abc import Sequence
from dataclasses import replace

from core.clock import SECOND
from core.model import Node, NodeState, Service, Task, TaskState
from manager.orchestrator.restart import delay_of
from manager.orchestrator.tasks import is_dead, tasks_of_place
from manager.store import Event, EventKind, Transaction, View

_DEFAULT_GRACE = 10 * SECOND
_STOP_MARGIN = 10 * SECOND
_ENDED_BY_ITSELF = (TaskState.COMPLETE, TaskState.FAILED, TaskState.REJECTED)


class Starter:
    """A Controller."""

    def __init__(self) -> None:
        self._waiting: dict[str, int] = {}
        """Tasks at READY, and when each may run if nothing happens before (ns)."""
        self._due: dict[str, None] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._waiting.clear()
        self._due = {task.id: None for task in tx.tasks() if _is_held(task)}
        return self.step(tx, (), now)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event, tx)
        self._due |= {task_id: None for task_id, time in self._waiting.items() if time <= now}
        for task_id in self._due:
            self._look(tx, task_id, now)
        self._due.clear()
        return min(self._waiting.values(), default=None)

    def _observe(self, event: Event, tx: Transaction) -> None:
        item = event.object
        if isinstance(item, Task):
            if event.kind is EventKind.DELETE or is_dead(item):
                self._due |= {other.id: None for other in tasks_of_place(tx, item) if _is_held(other)}
            elif _is_held(item):
                self._due[item.id] = None
        elif isinstance(item, Node) and (event.kind is EventKind.DELETE or item.status.state is NodeState.DOWN):
            for task in tx.tasks_of_node(item.id):
                self._due |= {other.id: None for other in tasks_of_place(tx, task) if _is_held(other)}

    def _look(self, tx: Transaction, task_id: str, now: int) -> None:
        self._waiting.pop(task_id, None)
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not _is_held(task):
            return
        time = start_time(tx, service, task, now)
        if time <= now:
            tx.update(replace(task, desired_state=TaskState.RUNNING))
        else:
            self._waiting[task_id] = time


def start_time(view: View, service: Service, task: Task, now: int) -> int:
    """When `task` may run at the latest, as things stand (ns)."""
    made = task.meta.created_at or now
    earlier = [other for other in tasks_of_place(view, task) if _is_before(other, task)]
    time = made
    last = max(earlier, key=lambda other: (other.meta.created_at or now, other.id), default=None)
    if last is not None and last.status.state in _ENDED_BY_ITSELF:
        time = made + delay_of(service)
    for other in earlier:
        if not is_dead(other) and _still_runs(view, other):
            time = max(time, made + _grace(other) + _STOP_MARGIN)
    return time


def _is_before(other: Task, task: Task) -> bool:
    return other.id != task.id and other.desired_state > TaskState.RUNNING


def _still_runs(view: View, task: Task) -> bool:
    """Whether a task that shall stop may still be running somewhere."""
    if not task.node_id or task.status.state < TaskState.ASSIGNED:
        return False
    node = view.node(task.node_id)
    return node is not None and node.status.state is not NodeState.DOWN


def _grace(task: Task) -> int:
    grace = task.spec.container.stop_grace_period
    return _DEFAULT_GRACE if grace is None else grace


def _is_held(task: Task) -> bool:
    return task.desired_state is TaskState.READY and not is_dead(task)
