"""Raises tasks from READY to RUNNING, those of jobs to COMPLETE, when their time has come: see
manager.orchestrator.restart."""

from collections.abc import Sequence
from dataclasses import replace

from core.model import Node, NodeState, Task, TaskState
from manager.orchestrator.restart import start_time
from manager.orchestrator.tasks import goal_of, is_dead, is_live, is_wanted, neighbours
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200


class Starter:
    """A Controller."""

    def __init__(self) -> None:
        self._tasks: Worklist[str] = Worklist()
        self._alarms: Alarms[str] = Alarms()

    def start(self, tx: Transaction, now: int) -> int | None:
        self._tasks.extend(task.id for task in tx.tasks() if _is_held(task))
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event, tx)
        self._tasks.extend(self._alarms.take_due(now))
        begin = tx.mark
        while self._tasks:
            if tx.mark - begin >= MAX_WRITES:
                return now
            self._look(tx, self._tasks.pop(), now)
        return self._alarms.next

    def _observe(self, event: Event, tx: Transaction) -> None:
        item = event.object
        if isinstance(item, Task):
            if event.kind is EventKind.DELETE or is_dead(item) or not is_wanted(item):
                self._alarms.clear(item.id)
                self._look_beside(item, tx)
            elif _is_held(item):
                self._tasks.add(item.id)
        elif isinstance(item, Node) and (event.kind is EventKind.DELETE or item.status.state is NodeState.DOWN):
            for task in tx.tasks_of_node(item.id):
                self._look_beside(task, tx)

    def _look_beside(self, task: Task, tx: Transaction) -> None:
        """Others of its slot may have waited for it to stop, or for its being told to."""
        self._tasks.extend(other.id for other in neighbours(tx, task) if _is_held(other))

    def _look(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        service = tx.service(task.service_id) if task is not None else None
        if task is None or service is None or not _is_held(task) or _has_predecessor(tx, task):
            self._alarms.clear(task_id)
            return
        time = start_time(tx, service, task, now)
        if time <= now:
            self._alarms.clear(task_id)
            tx.update(replace(task, desired_state=goal_of(service)))
        else:
            self._alarms.set(task_id, time)


def _has_predecessor(tx: Transaction, task: Task) -> bool:
    """Whether another task of its slot serves until this one is ready: see manager.orchestrator.rebalance."""
    return any(is_live(other) and other.desired_state > TaskState.READY for other in neighbours(tx, task))


def _is_held(task: Task) -> bool:
    return task.desired_state is TaskState.READY and not is_dead(task)
