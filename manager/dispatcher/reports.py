"""What an agent says of its tasks: what is believed, and what it changes in the store. Pure."""

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from core.codec import decode
from core.errors import InvalidArgument, PermissionDenied
from core.model import TaskState, TaskStatus
from manager.store import Transaction, View
from proto import dispatcher_pb2 as pb

MAX_TEXT = 1_000
"""Characters of a message or an error that are kept."""
_MAX_NAME = 256
_MAX_PORTS = 1_000


def read_report(report: pb.StatusReport, node_id: str, view: View) -> dict[str, TaskStatus]:
    """Statuses by task. Tasks that are no more are left out.

    Raises PermissionDenied if one is another node's, InvalidArgument for what no agent says.
    """
    statuses = {}
    for update in report.updates:
        task = view.task(update.task_id)
        if task is None:
            continue
        if task.node_id != node_id:
            raise PermissionDenied(f"task {task.id} is not assigned to node {node_id}")
        statuses[task.id] = _checked(decode(TaskStatus, update.status))
    return statuses


def record_statuses(tx: Transaction, node_id: str, statuses: Mapping[str, TaskStatus]) -> None:
    """An observed state never goes back, and what is known already is not written again.

    Of a task that shall stop nothing but a further state is news: how long it has had for that is counted from its last
    change, and no node shall draw that out by talking.
    """
    for task_id, status in statuses.items():
        task = tx.task(task_id)
        if task is None or task.node_id != node_id:
            continue
        goes_on = status.state > task.status.state
        says_more = status.state is task.status.state and status != task.status
        if goes_on or (says_more and task.desired_state < TaskState.SHUTDOWN):
            tx.update(replace(task, status=status))


def _checked(status: TaskStatus) -> TaskStatus:
    if not TaskState.ASSIGNED <= status.state <= TaskState.REJECTED:
        raise InvalidArgument(f"{status.state.name} is not a state that an agent reports")
    container = status.container
    if container is not None:
        if len(container.container_id) > _MAX_NAME:
            raise InvalidArgument("the id of a container is too long")
        if container.address:
            _check_address(container.address)
    if len(status.ports) > _MAX_PORTS or any(len(port.name) > _MAX_NAME for port in status.ports):
        raise InvalidArgument("a status has too many ports, or names that are too long")
    if len(status.message) > MAX_TEXT or len(status.err) > MAX_TEXT:
        return replace(status, message=status.message[:MAX_TEXT], err=status.err[:MAX_TEXT])
    return status


def _check_address(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise InvalidArgument("the address of a container is not an IP address") from None
