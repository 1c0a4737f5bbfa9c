"""Gives up the tasks of nodes that have been down for a day: nobody will say any more what became of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from core.clock import SECOND
from core.model import Node, NodeState, Task, TaskState
from manager.store import Event, EventKind, Transaction

LIMIT = 24 * 3600 * SECOND
MAX_WRITES = 200


class Orphans:
    """A Controller. For a new leader a node is down since its object last changed."""

    def __init__(self) -> None:
        self._down: dict[str, int] = {}
        """Node id -> since when, of those whose tasks have not been given up."""

    def start(self, tx: Transaction, now: int) -> int | None:
        self._down = {
            node.id: min(node.meta.updated_at, now) for node in tx.nodes() if node.status.state is NodeState.DOWN
        }
        return self._next()

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            if isinstance(event.object, Node):
                self._observe(event, event.object, now)
        left = MAX_WRITES
        for node_id in [node_id for node_id, since in self._down.items() if since + LIMIT <= now]:
            tasks = [task for task in tx.tasks_of_node(node_id) if _may_still_run(task)]
            _orphan(tx, tasks[:left], now)
            left -= len(tasks)
            if left < 0:
                return now
            del self._down[node_id]
        return self._next()

    def _observe(self, event: Event, node: Node, now: int) -> None:
        if event.kind is EventKind.DELETE or node.status.state is not NodeState.DOWN:
            self._down.pop(node.id, None)
        elif not (isinstance(event.old, Node) and event.old.status.state is NodeState.DOWN):
            self._down[node.id] = now

    def _next(self) -> int | None:
        return min((since + LIMIT for since in self._down.values()), default=None)


def _may_still_run(task: Task) -> bool:
    return TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING


def _orphan(tx: Transaction, tasks: Iterable[Task], now: int) -> None:
    for task in tasks:
        status = replace(
            task.status, timestamp=now, state=TaskState.ORPHANED, message="its node has been down for a day"
        )
        tx.update(replace(task, status=status))
