"""Which task objects may be forgotten: those of removed services and slots once they are gone, and old history."""

from collections.abc import Sequence
from dataclasses import replace

from core.model import Cluster, Node, Service, Task, TaskState
from manager.orchestrator.restart import policy_of
from manager.orchestrator.tasks import in_order, is_dead, is_wanted, neighbours, want
from manager.orchestrator.update_status import is_unfinished
from manager.orchestrator.worklist import Worklist
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 200
"""Writes after which a step ends."""


class Reaper:
    """A Controller. A task that was given to a node is forgotten only after its agent has said that it ended, or with
    its node: until then its container may still be there."""

    def __init__(self) -> None:
        self._tasks: Worklist[str] = Worklist()

    def start(self, tx: Transaction, now: int) -> int | None:
        services, nodes = {service.id for service in tx.services()}, {node.id for node in tx.nodes()}
        for task in tx.tasks():
            has_node = task.node_id in nodes or task.status.state < TaskState.ASSIGNED
            if not (is_wanted(task) and has_node and task.service_id in services):
                self._tasks.add(task.id)
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event, tx)
        begin = tx.mark
        while self._tasks:
            if tx.mark - begin >= MAX_WRITES:
                return now
            self._look_at(tx, self._tasks.pop(), now)
        return None

    def _observe(self, event: Event, tx: Transaction) -> None:
        item = event.object
        deleted = event.kind is EventKind.DELETE
        if isinstance(item, Task):
            began = isinstance(event.old, Task) and event.old.desired_state is TaskState.READY is not item.desired_state
            adds_to_history = (began or event.kind is EventKind.CREATE) and len(neighbours(tx, item)) > 1
            if not deleted and (adds_to_history or not is_wanted(item) or tx.service(item.service_id) is None):
                self._tasks.add(item.id)
        elif isinstance(item, Service):
            if deleted:
                self._tasks.extend(task.id for task in tx.tasks_of_service(item.id))
            elif isinstance(event.old, Service) and is_unfinished(event.old) and not is_unfinished(item):
                self._tasks.extend(task.id for task in tx.tasks_of_service(item.id) if not is_wanted(task))
        elif isinstance(item, Node) and deleted:
            self._tasks.extend(task.id for task in tx.tasks_of_node(item.id))
        elif isinstance(item, Cluster) and isinstance(event.old, Cluster) and event.old.spec != item.spec:
            self._tasks.extend(task.id for task in tx.tasks() if not is_wanted(task))

    def _look_at(self, tx: Transaction, task_id: str, now: int) -> None:
        task = tx.task(task_id)
        if task is None:
            return
        if not is_dead(task) and _lost_node(tx, task):
            status = replace(task.status, timestamp=now, state=TaskState.ORPHANED, message="its node was removed")
            task = replace(task, status=status)
            tx.update(task)
        if tx.service(task.service_id) is None:
            want(tx, task, TaskState.REMOVE)
        task = tx.task(task_id)
        assert task is not None
        if task.desired_state is TaskState.REMOVE:
            if is_dead(task) or task.status.state < TaskState.ASSIGNED:
                tx.delete(Task, task.id)
        else:
            self._trim(tx, task)

    def _trim(self, tx: Transaction, task: Task) -> None:
        """Keeps the newest task objects of the slot, and every one that has not ended; and the last that has, while a
        delay may be counted from there, as one is held at READY behind it or it failed beside the one before, and while
        it tells which slots an update has come to."""
        cluster, service = tx.cluster, tx.service(task.service_id)
        if cluster is None or service is None or cluster.spec.task_history_limit < 0:
            return
        # Restarts are counted by the history.
        attempts = policy_of(service).max_attempts
        limit = attempts + 1 if attempts else max(1, cluster.spec.task_history_limit)
        tasks = in_order(neighbours(tx, task))
        ended = [other for other in tasks if is_dead(other) and not is_wanted(other)]
        held = any(is_wanted(other) and other.desired_state is TaskState.READY for other in tasks)
        needed = held or is_dead(tasks[-1]) or is_unfinished(service)
        others = len(tasks) - len(ended)
        # What still stops takes no attempt's place.
        kept = max(limit - (min(others, 1) if attempts else others), needed)
        for other in ended[: max(0, len(ended) - kept)]:
            tx.delete(Task, other.id)


def _lost_node(tx: Transaction, task: Task) -> bool:
    """Its node was removed, so no agent will ever speak of it again."""
    return task.status.state >= TaskState.ASSIGNED and tx.node(task.node_id) is None
