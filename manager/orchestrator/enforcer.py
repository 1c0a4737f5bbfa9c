"""Tasks whose node has changed so that it would not be chosen for them any more are moved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from core.model import Node, Resources, Task, TaskState
from manager.orchestrator.tasks import in_order, is_live, is_usable, satisfies
from manager.orchestrator.worklist import Worklist
from manager.store import Event, EventKind, Transaction

MAX_LOOKS = 1_000
"""Tasks after which a step ends."""


class ConstraintEnforcer:
    """A Controller. It rejects such tasks, and what follows is what follows any task that has ended: the observed state
    is a manager's to write here, so that the restart policy holds. Paused and drained nodes are left alone."""

    def __init__(self) -> None:
        self._nodes: Worklist[str] = Worklist()

    def start(self, tx: Transaction, now: int) -> int | None:
        self._nodes.extend(node.id for node in tx.nodes())
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            if isinstance(event.object, Node) and event.kind is EventKind.UPDATE:
                self._nodes.add(event.object.id)
        looks = 0
        while self._nodes:
            if looks >= MAX_LOOKS:
                return now
            looks += self._look_at(tx, self._nodes.pop(), now)
        return None

    def _look_at(self, tx: Transaction, node_id: str, now: int) -> int:
        """Rejects what the node is no longer fit for; how many tasks it has."""
        node = tx.node(node_id)
        if node is None or not is_usable(node):
            return 0
        left = _Left(node.description.resources if node.description else Resources())
        tasks = [task for task in tx.tasks_of_node(node_id) if is_live(task)]
        for task in in_order(tasks):
            if task.status.state < TaskState.ASSIGNED:
                continue
            if not _is_allowed(tx, node, task):
                _reject(tx, task, "assigned node no longer meets constraints", now)
            elif not left.take(task):
                _reject(tx, task, "assigned node no longer has the reserved resources", now)
        return len(tasks)


class _Left:
    """What a node has that the tasks looked at so far do not hold."""

    def __init__(self, resources: Resources) -> None:
        self._nano_cpus = resources.nano_cpus
        self._memory_bytes = resources.memory_bytes
        self._named = {item for item in resources.generic if item.id}
        self._counted: Counter[str] = Counter()
        for item in resources.generic:
            self._counted[item.kind] += item.value

    def take(self, task: Task) -> bool:
        """Whether there is still what the task holds; if so it is taken."""
        asked = _reservations(task)
        named = {item for item in task.generic if item.id}
        counted = [item for item in task.generic if not item.id]
        if asked.nano_cpus > self._nano_cpus or asked.memory_bytes > self._memory_bytes:
            return False
        if not named <= self._named or any(item.value > self._counted[item.kind] for item in counted):
            return False
        self._nano_cpus -= asked.nano_cpus
        self._memory_bytes -= asked.memory_bytes
        self._named -= named
        for item in counted:
            self._counted[item.kind] -= item.value
        return True


def _is_allowed(tx: Transaction, node: Node, task: Task) -> bool:
    """By what the service now asks for, not by what it asked for when the task was made."""
    service = tx.service(task.service_id)
    return service is None or satisfies(node, service.spec.task)


def _reservations(task: Task) -> Resources:
    resources = task.spec.resources
    return resources.reservations if resources and resources.reservations else Resources()


def _reject(tx: Transaction, task: Task, reason: str, now: int) -> None:
    status = replace(task.status, timestamp=now, state=TaskState.REJECTED, message=reason, err=reason)
    tx.update(replace(task, status=status))
