"""How many slots of a service its update has set in motion, as the log tells it."""

from collections.abc import Iterable

from core.model import Availability, Node, NodeState, Service, Task, TaskState, UpdateConfig, UpdateState
from manager.store import Event, EventKind, Slot, Store, slot_of

_BACKWARDS = (UpdateState.ROLLBACK_STARTED, UpdateState.ROLLBACK_PAUSED, UpdateState.ROLLBACK_COMPLETED)
_USABLE = (NodeState.READY, Availability.ACTIVE)


def config_of(service: Service) -> UpdateConfig:
    status = service.update_status
    backwards = status is not None and status.state in _BACKWARDS
    return (service.spec.rollback if backwards else service.spec.update) or UpdateConfig()


class Motion:
    """Of one service."""

    def __init__(self) -> None:
        self._slots: dict[Slot, str] = {}
        """The task that each of them waits for."""
        self._since: dict[str, int] = {}
        """When those of them that run were first seen to: what their nodes say of them later draws nothing out."""

    def read(self, store: Store, service: Service, events: Iterable[Event], now: int) -> None:
        """What managers have just written."""
        changes = {event.object.id: event for event in events}
        begun: list[Task] = []
        from_rest = False
        for made in filter(None, (_made(event, service) for event in changes.values())):
            if replaced := _replaced(store, made, changes):
                begun.append(made)
                from_rest |= all(task.status.state is TaskState.RUNNING for task in replaced)
        self._slots.update((slot_of(task), task.id) for task in begun)
        config = config_of(service)
        self._slots = {
            slot: task_id
            for slot, task_id in self._slots.items()
            if self._is_in_motion(store, store.task(task_id), service, config, now)
        }
        if begun and config.parallelism:
            # Where something is under way an update may begin, though others do not run either yet.
            moving = self._slots if from_rest else {slot_of(task) for task in begun} & self._slots.keys()
            assert len(moving) <= config.parallelism, (
                f"{len(moving)} slots of {service.id} move, {config.parallelism} may: {moving}"
            )

    def _is_in_motion(self, store: Store, task: Task | None, service: Service, config: UpdateConfig, now: int) -> bool:
        if task is None or task.desired_state >= TaskState.SHUTDOWN or task.status.state > TaskState.RUNNING:
            return False
        if task.status.state < TaskState.RUNNING:
            node = store.node(task.node_id)
            if node is None or node.spec.availability is not Availability.PAUSE:
                return True
            # On a node that was paused meanwhile nobody waits for what has no place yet, nor, as the node is its slot,
            # for what is of an older spec: that cannot be replaced while the node is paused, which may be for ever.
            return task.status.state >= TaskState.ASSIGNED and (bool(task.slot) or task.spec == service.spec.task)
        since = self._since.setdefault(task.id, task.meta.updated_at)
        return task.spec_version == service.spec_version and now < since + config.delay


def _made(event: Event, service: Service) -> Task | None:
    task = event.object
    mine = isinstance(task, Task) and event.kind is EventKind.CREATE and task.service_id == service.id
    return task if mine and isinstance(task, Task) else None


def _replaced(store: Store, made: Task, changes: dict[str, Event]) -> list[Task]:
    """The tasks of its slot that lived well until now, if `made`, which is of a newer spec, takes their place."""
    key = (made.service_id, slot_of(made))
    changed = [event.object for event in changes.values() if isinstance(event.object, Task)]
    # What a node has is forgotten in one entry only if that node is no longer fit for it: that is no update.
    unplaced = [task for task in changed if task.status.state < TaskState.ASSIGNED and store.task(task.id) is None]
    gone = [task for task in unplaced if (task.service_id, slot_of(task)) == key]
    found = []
    for task in (*store.tasks_of_slot(*key), *gone):
        before = changes[task.id].old if task.id in changes else task
        if not isinstance(before, Task):
            continue
        was_there = max(before.desired_state, before.status.state) <= TaskState.RUNNING
        lived = was_there and task.status.state <= TaskState.SHUTDOWN
        if lived and (not task.node_id or is_good(store.node(task.node_id))):
            found.append(before)
    newer = any(task.spec_version < made.spec_version and _differs(task, made) for task in found)
    return found if newer else []


def _differs(one: Task, other: Task) -> bool:
    return one.spec != other.spec or one.ports != other.ports


def is_good(node: Node | None) -> bool:
    """Whether tasks may stay on it."""
    return (
        node is not None
        and node.status.state is not NodeState.DOWN
        and node.spec.availability is not Availability.DRAIN
    )


def is_usable(node: Node | None) -> bool:
    """Whether it takes new tasks."""
    return is_good(node) and node is not None and (node.status.state, node.spec.availability) == _USABLE
