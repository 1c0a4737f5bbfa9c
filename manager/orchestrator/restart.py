"""Whether a task that has ended is replaced, and how.

A replacement is a new task in the same place, made at once with desired state READY, so that its image is pulled while
the delay runs; the Starter raises it to RUNNING.
"""

from core.clock import SECOND
from core.ids import IdSource
from core.model import RestartCondition, RestartPolicy, Service, Task, TaskState
from manager.orchestrator.tasks import is_dead, is_wanted, new_task, tasks_of_place, want
from manager.store import Transaction, View

DEFAULT_DELAY = 5 * SECOND
_FAILURES = (TaskState.FAILED, TaskState.REJECTED, TaskState.ORPHANED)


def policy_of(service: Service) -> RestartPolicy:
    return service.spec.task.restart or RestartPolicy()


def delay_of(service: Service) -> int:
    delay = policy_of(service).delay
    return DEFAULT_DELAY if delay is None else delay


def may_restart(view: View, service: Service, task: Task, now: int) -> bool:
    """Whether the policy allows a replacement of `task`, which ended by itself. Attempts count per place and spec
    version, and within the policy's window if it has one."""
    policy = policy_of(service)
    if policy.condition is RestartCondition.NONE:
        return False
    if policy.condition is RestartCondition.ON_FAILURE and task.status.state not in _FAILURES:
        return False
    if not policy.max_attempts:
        return True
    same = [other for other in tasks_of_place(view, task) if other.spec_version == task.spec_version]
    same.sort(key=lambda other: other.meta.created_at or now)
    restarts = same[1:]
    if policy.window:
        restarts = [other for other in restarts if (other.meta.created_at or now) > now - policy.window]
    return len(restarts) < policy.max_attempts


def restart(tx: Transaction, service: Service, task: Task, ids: IdSource, now: int) -> None:
    """`task` has ended by itself: ends it for good, and replaces it if the policy allows."""
    want(tx, task, TaskState.SHUTDOWN)
    if _has_successor(tx, task):
        return
    if may_restart(tx, service, task, now):
        node_id = "" if task.slot else task.node_id
        tx.create(new_task(service, task.slot, node_id, ids, now, TaskState.READY))


def evacuate(tx: Transaction, service: Service, task: Task, ids: IdSource, now: int) -> None:
    """`task`'s node cannot have it any more: stops it, and makes another in its slot whatever the policy says."""
    want(tx, task, TaskState.SHUTDOWN)
    if not _has_successor(tx, task):
        tx.create(new_task(service, task.slot, "", ids, now, TaskState.READY))


def _has_successor(view: View, task: Task) -> bool:
    return any(is_wanted(other) and not is_dead(other) for other in tasks_of_place(view, task) if other.id != task.id)
