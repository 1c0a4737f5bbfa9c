"""All agents in one: a task is at once what is wanted of it, and a node what role is wanted."""

from collections.abc import Sequence
from dataclasses import replace

from core.model import ContainerStatus, Task, TaskState, TaskStatus
from manager.store import Event, Transaction

_MESSAGES = {
    TaskState.READY: "ready",
    TaskState.RUNNING: "started",
    TaskState.COMPLETE: "finished",
    TaskState.SHUTDOWN: "shutdown",
}


class InstantAgents:
    """A Controller, as far as a test needs one."""

    def start(self, tx: Transaction, now: int) -> int | None:
        return self.step(tx, (), now)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for node in list(tx.nodes()):
            if node.role is not node.spec.role:
                tx.update(replace(node, role=node.spec.role))
        for task in list(tx.tasks()):
            state = min(task.desired_state, TaskState.SHUTDOWN)
            if TaskState.ASSIGNED <= task.status.state < state:
                self._report(tx, task, state, now)
        return None

    def _report(self, tx: Transaction, task: Task, state: TaskState, now: int) -> None:
        container = ContainerStatus("c" * 64, pid=4711) if state >= TaskState.RUNNING else None
        status = TaskStatus(now, state, _MESSAGES[state], container=container)
        tx.update(replace(task, status=status))
