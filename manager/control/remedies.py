"""Of a service's tasks: how many failed lately, with what error, and ended for good; and what would change it. Pure."""

from collections.abc import Iterable, Sequence

from core.clock import SECOND
from core.model import Service, Task, TaskState
from core.units import format_duration
from core.words import agreeing
from manager.orchestrator.restart import is_filled
from manager.orchestrator.tasks import ended_by_itself, is_dirty, is_wanted, may_have, newest
from manager.scheduler.failures import LATELY
from manager.store import View

_FAILED = (TaskState.FAILED, TaskState.REJECTED)
_KEEP_AWAY = "keep the tasks away: pyswarm service update --constraint-add node.hostname!={host} {service}"
_LOGS = "pyswarm service logs {service} shows what they said"
_ANOTHER_PORT = "end what holds the port on {host}, or publish another"
_REMEDIES = {
    "cannot be pulled": "if the image has another name: pyswarm service update --image NAME {service}; "
    "if its registry wants a login: pyswarm service update --with-registry-auth {service}",
    "bind source path does not exist": "make that path on {host}, or " + _KEEP_AWAY,
    "port is already allocated": _ANOTHER_PORT,
    "address already in use": _ANOTHER_PORT,
}
"""By a part of the error, as agents and engines word it."""


def has_failed(task: Task) -> bool:
    return task.status.state in _FAILED


def lately_failed(view: View, service: Service, now: int) -> list[Task]:
    """The tasks of the service as it is now that have failed lately and are still kept, in the order of their ends."""
    failed = [
        task
        for task in view.tasks_of_service(service.id)
        if has_failed(task) and now - _failed_at(task) < LATELY and not is_dirty(view, task, service)
    ]
    return sorted(failed, key=lambda task: (_failed_at(task), task.id))


def describe(failed: Sequence[Task], now: int) -> str:
    """Of one or more tasks that have failed: how many, since when, and what was wrong with the last."""
    status = failed[-1].status
    seconds = max(1, -(-(now - _failed_at(failed[0])) // SECOND))
    ends = " or ".join(sorted({task.status.state.name.lower() for task in failed}))
    count = f"{len(failed)} {agreeing(len(failed), 'task')} {ends}"
    return f"{count} in the last {format_duration(seconds * SECOND)}: {status.err or status.message}"


def ended_for_good(view: View, service: Service, now: int) -> str:
    """How many tasks the restart policy lets run no more; empty if none, and of jobs, which end."""
    if service.spec.mode.is_job:
        return ""
    ended = sum(
        _ended_by_itself(tasks) and is_filled(view, service, tasks, now)
        for slot, tasks in view.slots(service.id).items()
        if isinstance(slot, int) or may_have(view.node(slot), service)
    )
    if not ended:
        return ""
    return (
        f"{ended} {agreeing(ended, 'task')} ended for good, as the restart policy says: "
        f"pyswarm service update --force {service.spec.name} starts anew"
    )


def remedy(task: Task, host: str) -> str:
    """What would keep the next task from failing like this one on its node, of the name `host`."""
    rejected = task.status.state is TaskState.REJECTED
    usual = f"change what they ask for, or {_KEEP_AWAY}" if rejected else _LOGS
    advice = next((advice for part, advice in _REMEDIES.items() if part in task.status.err), usual)
    return advice.format(host=host, service=task.service_name)


def _ended_by_itself(tasks: Iterable[Task]) -> bool:
    """Whether the last task of a slot did, and none is wanted any more."""
    last = newest(tasks)
    return last is not None and not is_wanted(last) and ended_by_itself(last)


def _failed_at(task: Task) -> int:
    """By its node's clock, which may be ahead: at the latest when a manager last wrote it, if only to shut it down."""
    return min(task.status.timestamp, task.meta.updated_at)
