"""How far a service's slots have come in its rolling update.

Kept by slot, so that a task's event costs the same however many replicas there are; a new leader finds it all in the
store.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence

from core.clock import SECOND
from core.model import Availability, Node, NodeState, Service, Task, TaskState, UpdateConfig, UpdateState
from core.units import format_duration
from manager.orchestrator.restart import delay_of, may_replace, still_runs
from manager.orchestrator.tasks import (
    ended_by_itself,
    is_dirty,
    is_live,
    is_usable,
    is_wanted,
    must_leave,
    newest,
    want,
)
from manager.orchestrator.update_status import state_of
from manager.orchestrator.worklist import Alarms
from manager.store import Slot, Transaction

DEFAULT_MONITOR = 5 * SECOND
PLACEMENT_LIMIT = 600 * SECOND
"""A new task that no node can take for so long has failed; Swarm waits for ever. As Kubernetes' progress deadline."""


class Rollout:
    """One service on its way to one spec version. A slot stands in one of four places, or is of no concern."""

    def __init__(self, version: int, moving: Iterable[Slot] = ()) -> None:
        self.version = version
        # The first of an OrderedDict is found at once, also after many others have left from before it.
        self.dirty: OrderedDict[Slot, None] = OrderedDict()
        """Its task is to be replaced."""
        self._unsettled: OrderedDict[Slot, None] = OrderedDict()
        """Those of them in which a task does not run yet."""
        self.moving = set(moving)
        """Its new task does not run yet."""
        self.doubled: set[Slot] = set()
        """Those of them whose old task still runs, and is to be stopped then."""
        self.renewed: set[Slot] = set()
        """Those of them where no task was left to be replaced: it had ended, and was to be tried again."""
        self.resting: set[Slot] = set()
        """Updated, but waits out the delay; or its new task has failed beside the old one, and is tried again."""
        self.watched: set[Slot] = set()
        """Has rested, but its new task is still watched for failure."""
        self.unheard: set[Slot] = set()
        """Its task is to be replaced, but a new leader has not heard yet of the node that it is."""
        self.alarms: Alarms[Slot] = Alarms()
        """When a slot that rests or is watched is to be looked at again."""
        self.waiting: dict[Slot, Task] = {}
        """The new tasks that cannot be placed, and say why."""
        self._overdue: set[Slot] = set()
        """Moving, but for so long without a place that others need not wait for them."""
        self._updated: set[Slot] = set()
        """Has rested, and was watched."""
        self._since: dict[Slot, tuple[str, int]] = {}
        """The new task that runs in it, and since when."""
        self._slots: set[Slot] = set(self.moving)
        """All that were dirty once."""
        self._failed: dict[Slot, str] = {}
        """Which task has failed in it, and how, in words."""

    @property
    def done(self) -> bool:
        return not (self.dirty or self.moving or self.resting or self.watched or self.unheard)

    def room(self, config: UpdateConfig) -> int:
        """How many more slots may be begun."""
        if config.parallelism == 0:
            return len(self.dirty)
        return max(0, config.parallelism + len(self._overdue) - len(self.moving) - len(self.resting))

    def next_dirty(self) -> Slot:
        """Where something is under way first: a change in the middle of an update lets no more slots move than may."""
        return next(iter(self._unsettled or self.dirty))

    def failure(self, config: UpdateConfig) -> str | None:
        """What failed last, if more slots of the update have failed than may."""
        if len(self._failed) <= config.max_failure_ratio * len(self._slots):
            return None
        return next(reversed(self._failed.values()))

    def look(self, tx: Transaction, service: Service, slot: Slot, config: UpdateConfig, now: int) -> None:
        """Finds out where `slot` stands, and stops the old task once the new one beside it runs; of two alike, one."""
        was_moving = slot in self.moving
        self._leave(slot)
        tasks = tx.tasks_of_slot(service.id, slot)
        replaced = len(tasks) > 1 and self._has_been_updated(tx, service, tasks)
        if replaced or slot in self._slots:
            self._slots.add(slot)
            self._look_for_failure(slot, tasks, _monitor(config))
        live = [task for task in tasks if is_live(task)]
        away = isinstance(slot, str) and must_leave(tx.node(slot))
        if not live or away:
            # Nothing to update here: the orchestrators see to slots that are empty, and to nodes that are away.
            if state_of(service) is UpdateState.ROLLBACK_STARTED and not away and any(map(is_wanted, tasks)):
                self.moving.add(slot)  # a rollback is over only when all runs again, and this will be replaced
            return
        unheard = isinstance(slot, str) and _is_unheard(tx.node(slot))
        takes_none = isinstance(slot, str) and not is_usable(tx.node(slot))
        fresh = [task for task in live if not is_dirty(tx, task, service)]
        if not fresh:
            self._slots.add(slot)
            under_way = any(task.status.state < TaskState.RUNNING for task in live)
            if unheard:
                (self.moving if under_way else self.unheard).add(slot)
            elif not takes_none and not self._put_off(slot, _retry_time(tx, service, tasks, now), now, self.resting):
                self.dirty[slot] = None
                if under_way:
                    self._unsettled[slot] = None
            return
        moved = was_moving or replaced
        running = next((task for task in fresh if task.status.state is TaskState.RUNNING), None)
        for task in fresh:
            if task is not (running or fresh[0]):
                want(tx, task, TaskState.SHUTDOWN)
        if running is None:
            if len(live) > len(fresh):
                self.doubled.add(slot)
            if takes_none and not unheard and all(task.status.state < TaskState.ASSIGNED for task in fresh):
                return
            if moved or slot in self.doubled or state_of(service) is UpdateState.ROLLBACK_STARTED:
                # A rollback is over only when all runs again.
                self.moving.add(slot)
                if self._is_renewed(tx, service, tasks, now):
                    self.renewed.add(slot)
                self._wait_for_place(tx, service, slot, tasks, now)
            return
        for task in live:
            if task not in fresh:
                want(tx, task, TaskState.SHUTDOWN)
        if moved and slot not in self._updated:
            began = self._running_since(slot, running, now)
            if not self._put_off(slot, began + config.delay, now, self.resting) and not self._put_off(
                slot, began + _monitor(config), now, self.watched
            ):
                self._updated.add(slot)

    def begin(self, slot: Slot) -> None:
        """The slot's replacement has been made."""
        self._leave(slot)
        self.moving.add(slot)

    def _has_been_updated(self, tx: Transaction, service: Service, tasks: Sequence[Task]) -> bool:
        """Whether a slot with these tasks was updated: by this update, or by one before that this goes on with."""
        if any(task.spec_version == self.version for task in tasks):
            return True
        return any(not is_live(task) and is_dirty(tx, task, service) for task in tasks)

    def _is_renewed(self, tx: Transaction, service: Service, tasks: Sequence[Task], now: int) -> bool:
        """Whether the last task before those of this version was to be tried again, and is not what is asked for."""
        former = newest(task for task in tasks if task.spec_version != self.version)
        return (
            former is not None
            and former.desired_state < TaskState.REMOVE
            and ended_by_itself(former)
            and is_dirty(tx, former, service)
            and may_replace(tx, service, former, now)
        )

    def _running_since(self, slot: Slot, task: Task, now: int) -> int:
        """When `task`, which runs, was found to (ns). What its node says of it after that puts nothing off."""
        known = self._since.get(slot)
        if known is None or known[0] != task.id:
            known = self._since[slot] = (task.id, task.meta.updated_at or now)
        return known[1]

    def _look_for_failure(self, slot: Slot, tasks: Sequence[Task], monitor: int) -> None:
        """A task that this update made has failed if it ended before it ran, or within `monitor` after that (ns).

        Which tasks those are is told by the version of the spec, which is another one for each update.
        """
        if slot in self._failed:
            return
        for task in tasks:
            if task.spec_version == self.version and ended_by_itself(task):
                ran = task.status.timestamp - task.status.started_at if task.status.started_at else 0
                if ran <= monitor:
                    self._failed[slot] = f"due to failure or early termination of task {task.id}"
                    return

    def _wait_for_place(self, tx: Transaction, service: Service, slot: Slot, tasks: Sequence[Task], now: int) -> None:
        """Notes a new task that no node can take, and after PLACEMENT_LIMIT calls it failed. What the old task still
        holds may be what it waits for, so that the time begins with that one's end."""
        task = next((task for task in tasks if is_live(task) and _is_unplaced(task)), None)
        if task is None:
            return
        self.waiting[slot] = task
        others = [other for other in tasks if not is_live(other)]
        if any(still_runs(tx, other) for other in others):
            return
        begun = service.update_status.started_at if service.update_status else now
        since = max(begun, task.meta.created_at or now, *(other.meta.updated_at for other in others))
        if not self._put_off(slot, since + PLACEMENT_LIMIT, now, self.moving):
            self._overdue.add(slot)
            limit = format_duration(PLACEMENT_LIMIT)
            self._failed[slot] = f"because task {task.id} has found no node for {limit}: {task.status.err}"

    def _put_off(self, slot: Slot, until: int, now: int, place: set[Slot]) -> bool:
        """Whether `until` is still to come; then the slot stays in `place` and is looked at again when it has."""
        if until <= now:
            return False
        place.add(slot)
        self.alarms.set(slot, until)
        return True

    def _leave(self, slot: Slot) -> None:
        self.dirty.pop(slot, None)
        self._unsettled.pop(slot, None)
        self.waiting.pop(slot, None)
        self.alarms.clear(slot)
        for place in (self.moving, self.doubled, self.renewed, self.resting, self.watched, self.unheard, self._overdue):
            place.discard(slot)


def _is_unheard(node: Node | None) -> bool:
    return node is not None and node.status.state is NodeState.UNKNOWN and node.spec.availability is Availability.ACTIVE


def _is_unplaced(task: Task) -> bool:
    return task.status.state < TaskState.ASSIGNED and bool(task.status.err)


def _monitor(config: UpdateConfig) -> int:
    """At least as long as the delay (ns)."""
    return max(config.delay, config.monitor or DEFAULT_MONITOR)


def _retry_time(tx: Transaction, service: Service, tasks: Sequence[Task], now: int) -> int:
    """If a new task has failed beside the old one, the next is made after the restart delay (ns).

    Not if it was one of an update before: what this one asks for has not been tried yet.
    """
    return max(
        (
            (task.meta.updated_at or now) + delay_of(service)
            for task in tasks
            if ended_by_itself(task) and task.spec_version == service.spec_version
        ),
        default=now,
    )
