"""Rolling updates: slots whose task was made from an older spec get a new one, so many at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from core.ids import IdSource
from core.model import Service, Task, TaskState, UpdateConfig, UpdateOrder, UpdateState, UpdateStatus
from manager.orchestrator.tasks import is_dead, is_dirty, is_live, new_task, spec_changed, want
from manager.store import Event, Transaction

_ROLLING = (UpdateState.UPDATING, UpdateState.ROLLBACK_STARTED)
_MAX_PLACES = 500
"""Places that one step begins to update, however large the parallelism."""

Place = int | str
"""A slot, or for a global service a node's id."""


@dataclass(slots=True)
class _Progress:
    """Where a service's places stand."""

    dirty: list[Place]
    """To be updated still."""
    moving: int = 0
    """Begun: the new task does not run yet, or the old one has not been told to stop."""
    cooling: list[int] | None = None
    """When those that were updated a moment ago will have waited out the delay."""


class UpdateSupervisor:
    """A Controller. Looks at a service when its spec or one of its tasks has changed while it is being updated."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._due: dict[str, None] = {}
        self._wake_ups: dict[str, int] = {}

    def start(self, tx: Transaction, now: int) -> int | None:
        self._wake_ups.clear()
        self._due = {service.id: None for service in tx.services()}
        return self.step(tx, (), now)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event)
        self._due |= {service_id: None for service_id, time in self._wake_ups.items() if time <= now}
        for service_id in self._due:
            self._wake_ups.pop(service_id, None)
            service = tx.service(service_id)
            wake_up = self._advance(tx, service, now) if service is not None else None
            if wake_up is not None:
                self._wake_ups[service_id] = wake_up
        self._due.clear()
        return min(self._wake_ups.values(), default=None)

    def _observe(self, tx: Transaction, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if spec_changed(event):
                self._due[item.id] = None
        elif isinstance(item, Task):
            service = tx.service(item.service_id)
            if service is not None and service.update_status and service.update_status.state in _ROLLING:
                self._due[item.service_id] = None

    def _advance(self, tx: Transaction, service: Service, now: int) -> int | None:
        """Begins what may begin; when to look again without an event."""
        config = service.spec.update or UpdateConfig()
        places = _places(tx.tasks_of_service(service.id))
        progress = _progress(service, places, config, now)
        rolling = service.update_status is not None and service.update_status.state in _ROLLING
        if not progress.dirty and not progress.moving:
            if rolling and not progress.cooling:
                _finish(tx, service, now)
            return min(progress.cooling, default=None) if progress.cooling else None
        if progress.dirty and not rolling:
            _begin(tx, service, now)
        busy = progress.moving + len(progress.cooling or ())
        room = _MAX_PLACES if config.parallelism == 0 else max(0, config.parallelism - busy)
        for place in progress.dirty[: min(room, _MAX_PLACES)]:
            self._replace(tx, service, places[place], config, now)
        self._finish_start_first(tx, service, places)
        if len(progress.dirty) > _MAX_PLACES and room >= _MAX_PLACES:
            return now
        return min(progress.cooling, default=None) if progress.cooling else None

    def _replace(self, tx: Transaction, service: Service, tasks: list[Task], config: UpdateConfig, now: int) -> None:
        old = [task for task in tasks if is_live(task)]
        place = tasks[0]
        node_id = "" if place.slot else place.node_id
        start_first = config.order is UpdateOrder.START_FIRST and old
        if not start_first:
            for task in old:
                want(tx, task, TaskState.SHUTDOWN)
        desired = TaskState.RUNNING if start_first else TaskState.READY
        tx.create(new_task(service, place.slot, node_id, self._ids, now, desired))

    def _finish_start_first(self, tx: Transaction, service: Service, places: dict[Place, list[Task]]) -> None:
        """Old tasks stop once the new one beside them runs."""
        for tasks in places.values():
            live = [task for task in tasks if is_live(task)]
            if len(live) > 1 and any(_runs_current(task, service) for task in live):
                for task in live:
                    if is_dirty(task, service):
                        want(tx, task, TaskState.SHUTDOWN)


def _places(tasks: Iterable[Task]) -> dict[Place, list[Task]]:
    places: dict[Place, list[Task]] = {}
    for task in tasks:
        places.setdefault(task.slot or task.node_id, []).append(task)
    return places


def _progress(service: Service, places: dict[Place, list[Task]], config: UpdateConfig, now: int) -> _Progress:
    progress = _Progress([], cooling=[])
    for place, tasks in places.items():
        live = [task for task in tasks if is_live(task)]
        current = [task for task in live if not is_dirty(task, service)]
        if not live:
            continue
        if not current:
            progress.dirty.append(place)
            continue
        running = [task for task in current if task.status.state is TaskState.RUNNING]
        updated = any(task.spec_version == service.spec_version for task in current) and len(tasks) > 1
        if not updated and len(live) == 1:
            continue
        if not running or len(live) > 1:
            progress.moving += 1
        elif config.delay and (ready_at := running[0].status.timestamp + config.delay) > now:
            assert progress.cooling is not None
            progress.cooling.append(ready_at)
    progress.dirty.sort(key=str)
    return progress


def _runs_current(task: Task, service: Service) -> bool:
    return task.status.state is TaskState.RUNNING and not is_dirty(task, service) and not is_dead(task)


def _begin(tx: Transaction, service: Service, now: int) -> None:
    status = UpdateStatus(UpdateState.UPDATING, started_at=now, message="update in progress")
    tx.update(replace(service, update_status=status))


def _finish(tx: Transaction, service: Service, now: int) -> None:
    assert service.update_status is not None
    rolled_back = service.update_status.state is UpdateState.ROLLBACK_STARTED
    state = UpdateState.ROLLBACK_COMPLETED if rolled_back else UpdateState.COMPLETED
    message = "rollback completed" if rolled_back else "update completed"
    tx.update(
        replace(service, update_status=replace(service.update_status, state=state, completed_at=now, message=message))
    )
