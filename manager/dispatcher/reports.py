"""What agents report, as changes to the store. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.model import (
    Node,
    NodeDescription,
    NodeState,
    NodeStatus,
    PortError,
    TaskState,
    TaskStatus,
)
from manager.store import Transaction


@dataclass(frozen=True, slots=True)
class Registration:
    node_id: str
    description: NodeDescription
    addr: str


def record(
    tx: Transaction,
    statuses: Mapping[str, tuple[str, TaskStatus]],
    port_errors: Mapping[str, tuple[PortError, ...]],
) -> None:
    """All that was reported in one turn."""
    record_statuses(tx, statuses)
    record_port_errors(tx, port_errors)


def record_statuses(tx: Transaction, statuses: Mapping[str, tuple[str, TaskStatus]]) -> None:
    """Task id -> (the node that says so, what it says). A state never goes back, and nobody speaks of others' tasks."""
    for task_id, (node_id, status) in statuses.items():
        task = tx.task(task_id)
        if task is None or task.node_id != node_id:
            continue
        if status.state < task.status.state or task.status.state is TaskState.ORPHANED or status == task.status:
            continue
        tx.update(replace(task, status=status))


def record_registration(tx: Transaction, registration: Registration) -> Node | None:
    """The node as it then is; None if it has been removed."""
    node = tx.node(registration.node_id)
    if node is None:
        return None
    description = registration.description
    state = NodeState.DOWN if description.engine_error else NodeState.READY
    status = NodeStatus(state, description.engine_error, registration.addr)
    if node.status != status or node.description != description:
        node = replace(node, status=status, description=description)
        tx.update(node)
    return node


def record_states(tx: Transaction, states: Mapping[str, NodeStatus]) -> None:
    """Sets nodes' states and messages; their addresses stay. Nodes that have been removed are passed over."""
    for node_id, status in states.items():
        node = tx.node(node_id)
        if node is not None:
            wanted = replace(status, addr=node.status.addr)
            if node.status != wanted:
                tx.update(replace(node, status=wanted))


def record_port_errors(tx: Transaction, errors: Mapping[str, tuple[PortError, ...]]) -> None:
    for node_id, found in errors.items():
        node = tx.node(node_id)
        if node is not None and node.port_errors != found:
            tx.update(replace(node, port_errors=found))
