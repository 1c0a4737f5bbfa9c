"""Changes to nodes, as decisions over a transaction. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from core.errors import FailedPrecondition, NotFound, OutOfSequence
from core.model import ManagerStatus, Node, NodeSpec, NodeState, Reachability, Role, TaskState, TaskStatus
from core.words import agreeing
from manager.ca.cluster import with_removed_node
from manager.control.lookup import find_node
from manager.store import Transaction, View
from raft import Member


def with_manager_status(node: Node, members: Sequence[Member]) -> Node:
    """`node` as it is shown: its Raft membership is what the members say now."""
    member = next((member for member in members if member.node_id == node.id), None)
    if member is None:
        return replace(node, manager=None) if node.manager is not None else node
    reachability = Reachability.REACHABLE if member.reachable else Reachability.UNREACHABLE
    return replace(node, manager=ManagerStatus(member.addr, member.leader, reachability))


def update_node(tx: Transaction, node_id: str, version: int, spec: NodeSpec, members: Sequence[Member]) -> None:
    """Raises NotFound, OutOfSequence, and FailedPrecondition for a demotion that would lose the quorum."""
    node = tx.node(node_id)
    if node is None:
        raise NotFound(f"node {node_id} not found")
    if node.meta.version != version:
        raise OutOfSequence
    if spec == node.spec:
        return
    role = node.role
    if spec.role is Role.WORKER and node.spec.role is Role.MANAGER:
        check_demotion(tx, node_id, members)
    elif spec.role is not node.spec.role and all(member.node_id != node_id for member in members):
        # Its demotion may have come half-way: it has left the log, and must be a worker before it can join anew.
        role = Role.WORKER
    tx.update(replace(node, spec=spec, role=role))


def check_demotion(view: View, node_id: str, members: Sequence[Member]) -> None:
    """Raises FailedPrecondition unless the managers that stay can go on: without `node_id`, and without those whose
    demotion is under way."""
    voters = [member for member in members if not member.learner]
    if all(member.node_id != node_id for member in voters):
        return
    staying = {node.id for node in view.nodes() if node.spec.role is Role.MANAGER and node.id != node_id}
    rest = [member for member in voters if member.node_id in staying]
    if not rest:
        raise FailedPrecondition("attempting to demote the last manager of the swarm")
    reachable, needed = sum(member.reachable for member in rest), len(rest) // 2 + 1
    if reachable < needed:
        raise FailedPrecondition(
            f"can't remove member from the raft: this would result in a loss of quorum, as only {reachable} of the "
            f"{len(rest)} {agreeing(len(rest), 'manager')} that would remain can be reached, not {needed}; "
            "bring managers back first"
        )


def remove_node(tx: Transaction, ref: str, force: bool, members: Sequence[Member], now: int) -> None:
    """Its certificates are refused from now on, and its tasks are given up.

    A node that was certified as a manager but has neither become one nor ever been heard of (its join failed) is none.

    Raises FailedPrecondition for a manager, and unless forced for a node that is ready.
    """
    node = find_node(tx, ref)
    is_member = any(member.node_id == node.id for member in members)
    if is_member or (Role.MANAGER in (node.role, node.spec.role) and node.description is not None):
        raise FailedPrecondition(
            f"node {node.id} is a cluster manager and is a member of the raft cluster. "
            f"It must be demoted to worker before removal"
        )
    if node.status.state is NodeState.READY and not force:
        raise FailedPrecondition(f"node {node.id} is not down and can't be removed")
    forget_node(tx, node, now)


def forget_node(tx: Transaction, node: Node, now: int) -> None:
    """Its certificates are refused from now on, and its tasks are given up, whatever it is."""
    cluster = tx.cluster
    assert cluster is not None, "a cluster has nodes"
    tx.update(with_removed_node(cluster, node, now))
    for task in list(tx.tasks_of_node(node.id)):
        if TaskState.ASSIGNED <= task.status.state <= TaskState.RUNNING:
            status = TaskStatus(now, TaskState.ORPHANED, "the node was removed", container=task.status.container)
            tx.update(replace(task, status=status))
    tx.delete(Node, node.id)
