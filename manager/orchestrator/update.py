"""Rolling updates: slots whose task was made from an older spec get a new one, so many at a time."""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from core.ids import IdSource
from core.model import (
    FailureAction,
    Node,
    Service,
    ServiceMode,
    Task,
    TaskState,
    UpdateConfig,
    UpdateOrder,
    UpdateState,
)
from manager.orchestrator.restart import is_filled
from manager.orchestrator.rollout import Rollout
from manager.orchestrator.tasks import (
    in_order,
    is_dirty,
    is_live,
    is_usable,
    node_changed,
    replicas_of,
    spec_changed,
    successor,
    want,
)
from manager.orchestrator.update_status import HALTED, ROLLING, begin, config_of, fail, finish, state_of, wait_for
from manager.orchestrator.worklist import Worklist
from manager.store import Event, EventKind, Slot, Transaction, slot_of

MAX_WRITES = 200
"""Writes after which a step ends."""
MAX_LOOKS = 1_000
"""Slots that one step goes through when services have changed."""


class UpdateSupervisor:
    """A Controller. A service is gone through when its spec changes; then a task's event touches only its slot."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._services: Worklist[str] = Worklist()
        """To be gone through."""
        self._unseen: deque[tuple[str, Slot]] = deque()
        """Slots of the service that is being gone through."""
        self._rollouts: dict[str, Rollout] = {}
        self._touched: Worklist[str] = Worklist()
        """Rollouts that may go on."""

    def start(self, tx: Transaction, now: int) -> int | None:
        self._services.extend(service.id for service in tx.services())
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(tx, event, now)
        self._wake_up(tx, now)
        self._go_through(tx, now)
        begin = tx.mark
        while not self._unseen and self._touched and tx.mark - begin < MAX_WRITES:
            self._advance(tx, self._touched.pop(), begin + MAX_WRITES, now)
        if self._services or self._unseen or self._touched:
            return now
        return min((time for rollout in self._rollouts.values() if (time := rollout.alarms.next)), default=None)

    def _observe(self, tx: Transaction, event: Event, now: int) -> None:
        item = event.object
        if isinstance(item, Task):
            self._look(tx, item.service_id, slot_of(item), now)
        elif isinstance(item, Service):
            if event.kind is EventKind.DELETE:
                self._rollouts.pop(item.id, None)
            elif spec_changed(event):
                self._services.add(item.id)
        elif isinstance(item, Node) and node_changed(event):
            self._look_at_node(tx, item, now)

    def _look_at_node(self, tx: Transaction, node: Node, now: int) -> None:
        """A global service's task on a node that was away has not been updated."""
        for task in list(tx.tasks_of_node(node.id)):
            if task.slot or not is_live(task):
                continue
            service = tx.service(task.service_id)
            if task.service_id in self._rollouts:
                self._look(tx, task.service_id, node.id, now)
            elif service is not None and is_usable(node) and is_dirty(tx, task, service):
                self._services.add(task.service_id)

    def _wake_up(self, tx: Transaction, now: int) -> None:
        for service_id, rollout in list(self._rollouts.items()):
            for slot in rollout.alarms.take_due(now):
                self._look(tx, service_id, slot, now)

    def _look(self, tx: Transaction, service_id: str, slot: Slot, now: int) -> None:
        rollout, service = self._rollouts.get(service_id), tx.service(service_id)
        if rollout is not None and service is not None and rollout.version == service.spec_version:
            rollout.look(tx, service, slot, config_of(service), now)
            self._touched.add(service_id)

    def _go_through(self, tx: Transaction, now: int) -> None:
        """Finds out where every slot of the services that have changed stands: some slots now, the others next time."""
        for _ in range(MAX_LOOKS):
            if self._unseen:
                service_id, slot = self._unseen.popleft()
                self._look(tx, service_id, slot, now)
            elif self._services:
                self._open(tx, self._services.pop())
            else:
                return

    def _open(self, tx: Transaction, service_id: str) -> None:
        service = tx.service(service_id)
        if service is None or service.spec.mode.is_job:
            return
        former = self._rollouts.get(service_id)
        self._rollouts[service_id] = Rollout(service.spec_version, former.moving if former else ())
        self._unseen.extend((service_id, slot) for slot in tx.slots(service_id))
        self._touched.add(service_id)

    def _advance(self, tx: Transaction, service_id: str, limit: int, now: int) -> None:
        """Begins what may begin, up to the write numbered `limit`."""
        rollout, service = self._rollouts.get(service_id), tx.service(service_id)
        if rollout is None or service is None:
            return
        state, config = state_of(service), config_of(service)
        rolling = state in ROLLING
        failed = rollout.failure(config) if rolling and config.failure_action is not FailureAction.CONTINUE else None
        if state in HALTED and rollout.doubled:
            return  # what has been begun beside an old task takes its place, or fails
        begins = rollout.dirty or rollout.doubled or (rollout.renewed and state is UpdateState.UNKNOWN)
        if state in HALTED or not (rolling or begins):
            del self._rollouts[service_id]
        elif failed is not None:
            fail(tx, service, failed, now)
            self._services.add(service_id)
        elif not rollout.done:
            service = wait_for(tx, service, _trouble(rollout)) if rolling else begin(tx, service, now)
            self._replace_dirty(tx, service, rollout, limit, now)
        elif _has_all_slots(tx, service, now):
            finish(tx, service, now)
            del self._rollouts[service_id]

    def _replace_dirty(self, tx: Transaction, service: Service, rollout: Rollout, limit: int, now: int) -> None:
        config = config_of(service)
        for _ in range(rollout.room(config)):
            if not rollout.dirty:
                return
            if tx.mark >= limit:
                self._touched.add(service.id)
                return
            slot = rollout.next_dirty()
            self._replace(tx, service, tx.tasks_of_slot(service.id, slot), config, now)
            rollout.begin(slot)

    def _replace(
        self, tx: Transaction, service: Service, tasks: Sequence[Task], config: UpdateConfig, now: int
    ) -> None:
        old = in_order(task for task in tasks if is_live(task))
        # Only one task serves until the new one does: what an earlier update has not brought to run is given up. So is
        # what is held at READY, since it would be for as long as the new one is beside it.
        kept = next((task for task in old if task.status.state is TaskState.RUNNING), old[0])
        start_first = config.order is UpdateOrder.START_FIRST
        for task in old:
            if task is not kept or not start_first or task.desired_state < TaskState.RUNNING:
                want(tx, task, TaskState.SHUTDOWN)
        new = successor(service, kept, self._ids, now)
        tx.create(replace(new, desired_state=TaskState.RUNNING) if start_first else new)


def _trouble(rollout: Rollout) -> str:
    task = next(iter(rollout.waiting.values()), None)
    return f"{task.id} waits: {task.status.err}" if task is not None else ""


def _has_all_slots(tx: Transaction, service: Service, now: int) -> bool:
    """Whether no slot is still to be filled, as those are whose task had failed before a rollback."""
    if service.spec.mode is not ServiceMode.REPLICATED:
        return True
    filled = sum(is_filled(tx, service, tasks, now) for tasks in tx.slots(service.id).values())
    return filled >= replicas_of(service)
