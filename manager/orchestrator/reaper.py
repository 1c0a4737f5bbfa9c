"""Which task objects may be forgotten: those of removed services and slots once they are gone, and old history."""

from collections.abc import Sequence
from dataclasses import replace

from core.model import Cluster, Node, RestartPolicy, Service, Task, TaskState
from manager.orchestrator.tasks import is_dead, tasks_of_place, want
from manager.store import Event, EventKind, Transaction

MAX_WRITES = 500


class Reaper:
    """A Controller. A task that was given to a node is forgotten only after its agent has said that it ended, or with
    its node: until then its container may still be there."""

    def __init__(self) -> None:
        self._tasks: dict[str, None] = {}
        self._gone_services: dict[str, None] = {}
        self._gone_nodes: dict[str, None] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._tasks = {task.id: None for task in tx.tasks() if task.desired_state > TaskState.RUNNING}
        self._gone_services = dict.fromkeys(
            {task.service_id for task in tx.tasks() if tx.service(task.service_id) is None}
        )
        self._gone_nodes = dict.fromkeys(
            {task.node_id for task in tx.tasks() if task.node_id and tx.node(task.node_id) is None}
        )
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event, tx)
        begin = tx.mark
        for service_id in list(self._gone_services):
            for task in list(tx.tasks_of_service(service_id)):
                want(tx, task, TaskState.REMOVE)
                self._tasks[task.id] = None
            del self._gone_services[service_id]
        for node_id in list(self._gone_nodes):
            for task in list(tx.tasks_of_node(node_id)):
                self._orphan(tx, task, now)
            del self._gone_nodes[node_id]
        while self._tasks:
            if tx.mark - begin > MAX_WRITES:
                return now
            task_id, _ = self._tasks.popitem()
            found = tx.task(task_id)
            if found is not None:
                self._look_at(tx, found)
        return None

    def _observe(self, event: Event, tx: Transaction) -> None:
        item = event.object
        deleted = event.kind is EventKind.DELETE
        if isinstance(item, Service) and deleted:
            self._gone_services[item.id] = None
        elif isinstance(item, Node) and deleted:
            self._gone_nodes[item.id] = None
        elif isinstance(item, Task) and not deleted and item.desired_state > TaskState.RUNNING:
            self._tasks[item.id] = None
        elif isinstance(item, Cluster) and isinstance(event.old, Cluster) and event.old.spec != item.spec:
            self._tasks |= {task.id: None for task in tx.tasks() if task.desired_state > TaskState.RUNNING}

    def _orphan(self, tx: Transaction, task: Task, now: int) -> None:
        """Its node will never speak of it again."""
        if not is_dead(task):
            status = replace(task.status, timestamp=now, state=TaskState.ORPHANED, message="its node was removed")
            tx.update(replace(task, status=status))
        self._tasks[task.id] = None

    def _look_at(self, tx: Transaction, task: Task) -> None:
        if task.desired_state <= TaskState.RUNNING:
            return
        never_placed = task.status.state < TaskState.ASSIGNED or not task.node_id
        if task.desired_state is TaskState.REMOVE:
            if is_dead(task) or never_placed:
                tx.delete(Task, task.id)
            return
        if is_dead(task):
            self._trim(tx, task)

    def _trim(self, tx: Transaction, task: Task) -> None:
        """Keeps the newest task objects of the place, the live one included."""
        cluster, service = tx.cluster, tx.service(task.service_id)
        if cluster is None or service is None:
            return
        policy = service.spec.task.restart or RestartPolicy()
        limit = cluster.spec.task_history_limit
        if limit >= 0 and policy.max_attempts:
            # The history is what restarts are counted by.
            limit = policy.max_attempts + 1
        here = sorted(tasks_of_place(tx, task), key=lambda other: (other.meta.version == 0, other.meta.created_at))
        surplus = len(here) - max(1, limit) if limit >= 0 else 0
        for other in here:
            if surplus <= 0:
                return
            if is_dead(other) and other.desired_state > TaskState.RUNNING:
                tx.delete(Task, other.id)
                surplus -= 1
