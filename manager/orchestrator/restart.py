"""Whether a task that has ended is replaced, when, and how.

A replacement is a new task in the same slot, made at once with desired state READY, so that its image is pulled while
the delay runs; the Starter raises it to RUNNING. All of it is read off the task objects that the store keeps, so that
a new leader goes on where the last one stood.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from core.clock import SECOND
from core.ids import IdSource
from core.model import NodeState, RestartCondition, RestartPolicy, Service, Task, TaskState
from manager.orchestrator.tasks import (
    ended_by_itself,
    in_order,
    is_dead,
    is_dirty,
    is_live,
    is_wanted,
    neighbours,
    newest,
    successor,
    want,
)
from manager.store import PENDING, Transaction, View

DEFAULT_DELAY = 5 * SECOND
DEFAULT_GRACE = 10 * SECOND
STOP_MARGIN = 10 * SECOND
"""How much longer than its grace a task that is being stopped is waited for."""


def policy_of(service: Service) -> RestartPolicy:
    """A job's task that has completed is never run again, hence `any` says `on-failure` there."""
    policy = service.spec.task.restart or RestartPolicy()
    if service.spec.mode.is_job and policy.condition is RestartCondition.ANY:
        return replace(policy, condition=RestartCondition.ON_FAILURE)
    return policy


def delay_of(service: Service) -> int:
    delay = policy_of(service).delay
    return DEFAULT_DELAY if delay is None else delay


def may_replace(view: View, service: Service, task: Task, now: int) -> bool:
    """Whether the policy allows another task after `task`, which has ended or is being stopped.

    A task that was stopped, or lost with its node, uses up no attempt. Attempts count per slot and spec version, within
    the policy's window if it has one.
    """
    policy = policy_of(service)
    if policy.condition is RestartCondition.NONE:
        return False
    if not ended_by_itself(task):
        return True
    if policy.condition is RestartCondition.ON_FAILURE and task.status.state is TaskState.COMPLETE:
        return False
    if not policy.max_attempts:
        return True
    attempts = _restarts(view, task, now)
    if policy.window:
        attempts = [time for time in attempts if time > now - policy.window]
    return len(attempts) < policy.max_attempts


def restart(tx: Transaction, service: Service, task: Task, ids: IdSource, now: int) -> int | None:
    """`task` has ended: ends it for good, and replaces it if the policy allows.

    Returns when to come again (ns) if it is too early: a task that fails while its own restart delay still runs, as its
    image cannot be pulled, waits for that first, or it would be replaced as fast as it fails. For what is no longer
    asked for nothing waits.
    """
    if task.desired_state < TaskState.RUNNING and not is_dirty(tx, task, service):
        time = _delay_end(tx, service, task, now)
        if time > now:
            return time
    replace_task(tx, service, task, ids, now)
    return None


def replace_task(tx: Transaction, service: Service, task: Task, ids: IdSource, now: int) -> None:
    """Stops `task`, if it has not ended, and makes the next one of its slot if there is none and the policy allows; the
    policy counts only what is as the service now asks for."""
    allowed = is_dirty(tx, task, service) or may_replace(tx, service, task, now)
    want(tx, task, TaskState.SHUTDOWN)
    if allowed and not any(is_live(other) for other in neighbours(tx, task)):
        tx.create(successor(service, task, ids, now))


def is_filled(view: View, service: Service, tasks: Sequence[Task], now: int) -> bool:
    """Whether the slot needs no new task: it has one that lives or is about to be replaced, or the last one has ended
    and is not to be replaced unless it would be another."""
    if any(is_wanted(task) for task in tasks):
        return True
    last = newest(task for task in tasks if task.desired_state < TaskState.REMOVE)
    return last is not None and not is_dirty(view, last, service) and not may_replace(view, service, last, now)


def start_time(view: View, service: Service, task: Task, now: int) -> int:
    """When `task`, which is held at READY, may run at the latest, as things stand (ns); 0 if it waits for nothing.

    It waits out the restart delay if the task before it ended by itself; and until the tasks before it have stopped, or
    should have, so that two copies of a single writer do not overlap.
    """
    waits = [_delay_end(view, service, task, now)]
    made = task.meta.created_at or now
    for other in neighbours(view, task):
        if other.id != task.id and not is_wanted(other) and still_runs(view, other):
            # It was told to stop when the new one was made, or later. What its node says since then, short of a further
            # state, does not change it: see manager.dispatcher.reports.
            told = now if other.meta.version == PENDING else other.meta.updated_at
            waits.append(max(made, told) + _grace(other) + STOP_MARGIN)
    return max(waits)


def _delay_end(view: View, service: Service, task: Task, now: int) -> int:
    """When the restart delay before `task` is over (ns); 0 if there is none."""
    return max((time + delay_of(service) for time in _restarts(view, task, now)), default=0)


def _restarts(view: View, task: Task, now: int) -> list[int]:
    """When tasks of `task`'s slot and spec version were made because one like them had ended by itself (ns).

    A job's tasks are made anew by each run of it for no such reason.
    """
    tasks = in_order(neighbours(view, task))
    return [
        after.meta.created_at or now
        for before, after in pairwise(tasks)
        if after.spec_version == task.spec_version
        and ended_by_itself(before)
        and before.spec == after.spec
        and before.job_iteration == after.job_iteration
    ]


def still_runs(view: View, task: Task) -> bool:
    """Whether a task, that shall stop perhaps, may still be running somewhere."""
    if is_dead(task) or task.status.state < TaskState.ASSIGNED:
        return False
    node = view.node(task.node_id)
    return node is not None and node.status.state is not NodeState.DOWN


def _grace(task: Task) -> int:
    grace = task.spec.container.stop_grace_period
    return DEFAULT_GRACE if grace is None else grace
