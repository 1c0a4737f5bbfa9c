"""All agents in one: a task is at once what is wanted of it, and a node what role is wanted."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from core.model import ContainerStatus, Node, Task, TaskState, TaskStatus
from identity.certificates import root_fingerprint
from manager.ca import signing
from manager.store import Event, Transaction

_MESSAGES = {
    TaskState.READY: "ready",
    TaskState.RUNNING: "started",
    TaskState.COMPLETE: "finished",
    TaskState.SHUTDOWN: "shutdown",
}


class InstantAgents:
    """A Controller, as far as a test needs one."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        """Ids of nodes that hear nothing of certificates."""

    def start(self, tx: Transaction, now: int) -> int | None:
        return self.step(tx, (), now)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for node in list(tx.nodes()):
            taken = replace(node if node.id in self.away else _certified(tx, node), role=node.spec.role)
            if taken != node:
                tx.update(taken)
        for task in list(tx.tasks()):
            state = min(task.desired_state, TaskState.SHUTDOWN)
            if TaskState.ASSIGNED <= task.status.state < state:
                self._report(tx, task, state, now)
        return None

    def _report(self, tx: Transaction, task: Task, state: TaskState, now: int) -> None:
        container = ContainerStatus("c" * 64, pid=4711) if state >= TaskState.RUNNING else None
        status = TaskStatus(now, state, _MESSAGES[state], container=container)
        tx.update(replace(task, status=status))


def _certified(tx: Transaction, node: Node) -> Node:
    """With a certificate of the root that is wanted, and trusting whom it shall."""
    if tx.cluster is None or node.description is None:
        return node
    root = signing(tx.cluster.root_ca)
    held = node.description.certificate_issuer
    issuer = root_fingerprint(root.cert) if node.certificate_due or not held else held
    trusted = hashlib.sha256(root.trusted).hexdigest()
    return replace(node, description=replace(node.description, certificate_issuer=issuer, trust_root=trusted))
