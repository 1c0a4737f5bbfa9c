"""How far a service is, in numbers of tasks, as `service ls` shows it."""

from typing import NamedTuple

from core.model import Service, ServiceMode, Task, TaskState
from manager.orchestrator.tasks import is_wanted, iteration_of, replicas_of
from manager.store import Commit, Store, View


class TaskCounts(NamedTuple):
    running: int
    desired: int
    """How many shall run; of a replicated job, how many may at once; of a global one, how many have yet to complete."""
    completed: int = 0
    """Of jobs, in their present run."""


def count_tasks(view: View, service: Service) -> TaskCounts:
    tasks = view.tasks_of_service(service.id)
    if service.spec.mode.is_job:
        return _count_job(service, [task for task in tasks if task.job_iteration == iteration_of(service)])
    wanted = [task for task in tasks if is_wanted(task)]
    desired = len(wanted) if service.spec.mode is ServiceMode.GLOBAL else replicas_of(service)
    return TaskCounts(_running(wanted), desired)


def _count_job(service: Service, tasks: list[Task]) -> TaskCounts:
    completed = sum(task.status.state is TaskState.COMPLETE for task in tasks)
    unfinished = [task for task in tasks if is_wanted(task) and task.status.state is not TaskState.COMPLETE]
    desired = len(unfinished) if service.spec.mode is ServiceMode.GLOBAL_JOB else service.spec.concurrency
    return TaskCounts(_running(unfinished), desired, completed)


def _running(tasks: list[Task]) -> int:
    return sum(task.status.state is TaskState.RUNNING for task in tasks)


class KnownCounts:
    """The counts of services, each counted again only once something of it has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, TaskCounts] = {}
        store.watch(self._take)

    def of(self, service: Service) -> TaskCounts:
        found = self._known.get(service.id)
        if found is None:
            found = self._known[service.id] = count_tasks(self._store, service)
        return found

    def _take(self, commit: Commit) -> None:
        if commit.restored:
            self._known.clear()
        for event in commit.events:
            if isinstance(event.object, Task):
                self._known.pop(event.object.service_id, None)
            elif isinstance(event.object, Service):
                self._known.pop(event.object.id, None)
