"""How far a service's slots have come in its rolling update.

Kept by slot, so that a task's event costs the same however many replicas there are; a new leader finds it all in the
store.
"""

from collections.abc import Iterable, Sequence

from core.model import Service, Task, TaskState, UpdateConfig
from manager.orchestrator.restart import delay_of
from manager.orchestrator.tasks import ended_by_itself, is_dirty, is_live, is_usable, want
from manager.orchestrator.worklist import Alarms
from manager.store import Slot, Transaction


class Rollout:
    """One service on its way to one spec version. A slot stands in one of three places, or is of no concern."""

    def __init__(self, version: int, moving: Iterable[Slot] = ()) -> None:
        self.version = version
        self.dirty: dict[Slot, None] = {}
        """Its task is to be replaced."""
        self.moving = set(moving)
        """Its new task does not run yet."""
        self.doubled: set[Slot] = set()
        """Those of them whose old task still runs, and is to be stopped then."""
        self.resting: set[Slot] = set()
        """Updated, but waits out the delay; or its new task has failed beside the old one, and is tried again."""
        self.alarms: Alarms[Slot] = Alarms()
        """When a slot that rests has done so."""
        self._updated: dict[Slot, None] = {}
        """Has rested."""

    @property
    def done(self) -> bool:
        return not (self.dirty or self.moving or self.resting)

    def room(self, config: UpdateConfig) -> int:
        """How many more slots may be begun."""
        if config.parallelism == 0:
            return len(self.dirty)
        return max(0, config.parallelism - len(self.moving) - len(self.resting))

    def look(self, tx: Transaction, service: Service, slot: Slot, config: UpdateConfig, now: int) -> None:
        """Finds out where `slot` stands, and stops the old task once the new one beside it runs."""
        was_moving = slot in self.moving
        self._leave(slot)
        tasks = tx.tasks_of_slot(service.id, slot)
        live = [task for task in tasks if is_live(task)]
        if not live or (isinstance(slot, str) and not is_usable(tx.node(slot))):
            # Nothing to update here: the orchestrators see to slots that are empty, and to nodes that are away.
            return
        fresh = [task for task in live if not is_dirty(tx, task, service)]
        if not fresh:
            self._rest_or(slot, _retry_time(tx, service, tasks, now), now, self.dirty)
            return
        moved = was_moving or (len(tasks) > 1 and any(task.spec_version == self.version for task in fresh))
        running = next((task for task in fresh if task.status.state is TaskState.RUNNING), None)
        if running is None:
            if len(live) > len(fresh):
                self.doubled.add(slot)
            if moved or slot in self.doubled:
                self.moving.add(slot)
            return
        for task in live:
            if task not in fresh:
                want(tx, task, TaskState.SHUTDOWN)
        if moved and slot not in self._updated:
            self._rest_or(slot, (running.meta.updated_at or now) + config.delay, now, self._updated)

    def begin(self, slot: Slot) -> None:
        """The slot's replacement has been made."""
        self._leave(slot)
        self.moving.add(slot)

    def _rest_or(self, slot: Slot, until: int, now: int, place: dict[Slot, None]) -> None:
        """The slot rests until its time has come; then it goes to `place`."""
        if until > now:
            self.resting.add(slot)
            self.alarms.set(slot, until)
        else:
            place[slot] = None

    def _leave(self, slot: Slot) -> None:
        self.dirty.pop(slot, None)
        self.moving.discard(slot)
        self.doubled.discard(slot)
        self.resting.discard(slot)
        self.alarms.clear(slot)


def _retry_time(tx: Transaction, service: Service, tasks: Sequence[Task], now: int) -> int:
    """If a new task has failed beside the old one, the next is made after the restart delay (ns)."""
    return max(
        (
            (task.meta.updated_at or now) + delay_of(service)
            for task in tasks
            if ended_by_itself(task) and not is_dirty(tx, task, service)
        ),
        default=now,
    )
