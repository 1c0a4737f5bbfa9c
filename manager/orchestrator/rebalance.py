"""Spreads a service's tasks again, as when a node has come back: so many at a time, and only while that makes it lie
more evenly.

A task is moved by making the next one of its slot on the node where it shall be. If the scheduler lets it have that
node, the old task stops once the new one is ready to start, its image pulled, or with start-first once it runs. If not,
nothing has changed but that another node is tried. What is under way is read off the tasks, so that a new leader goes
on with it.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.clock import SECOND
from core.ids import IdSource
from core.model import Node, Rebalance, Service, Task, TaskState, UpdateOrder
from core.units import format_duration
from manager.orchestrator.layout import Layout
from manager.orchestrator.tasks import ended_by_itself, in_order, is_live, new_task, node_changed, want
from manager.orchestrator.update_status import ROLLING, state_of
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Transaction

PATIENCE = 600 * SECOND
"""Without progress for so long, a rebalance is given up."""


@dataclass
class _Situation:
    """Where a service's slots stand."""

    moves: list[tuple[Task, Task]] = field(default_factory=list)
    """The old and the new task of slots that have both."""
    movable: set[int] = field(default_factory=set)
    """Slots with one task, that runs."""
    unsettled: int = 0
    """How many with one task there are beside. One without has been done with, or is to be removed."""
    places: dict[int, str] = field(default_factory=dict)


class Rebalancer:
    """A Controller."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._services: Worklist[str] = Worklist()
        """To be looked at."""
        self._shunned: dict[str, set[str]] = defaultdict(set)
        """Of the services that are being rebalanced, the nodes that cannot take a task, or on which one has failed."""
        self._alarms: Alarms[str] = Alarms()

    def start(self, tx: Transaction, now: int) -> int | None:
        self._services.extend(service.id for service in tx.services() if _is_wanted(service))
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event)
        self._services.extend(self._alarms.take_due(now))
        while self._services:
            self._look(tx, self._services.pop(), now)
        return self._alarms.next

    def _observe(self, event: Event) -> None:
        item = event.object
        if isinstance(item, Service):
            if event.kind is EventKind.DELETE:
                self._forget(item.id)
            elif _is_wanted(item):
                self._services.add(item.id)
        elif isinstance(item, Task):
            if item.service_id in self._shunned:
                self._services.add(item.service_id)
                if ended_by_itself(item):
                    self._shunned[item.service_id].add(item.node_id)
        elif isinstance(item, Node) and node_changed(event):
            self._services.extend(self._shunned)

    def _look(self, tx: Transaction, service_id: str, now: int) -> None:
        service = tx.service(service_id)
        if service is None or service.rebalance is None or not _is_wanted(service):
            self._forget(service_id)
            return
        shunned = self._shunned[service_id]
        found = _situation(tx, service)
        error = _obstacle(service, now)
        layout = Layout(tx, service, found.places)
        moved = under_way = 0
        rolling = state_of(service) in ROLLING
        for old, new in found.moves:
            if rolling and new.spec_version == service.spec_version:
                continue  # it is the update's
            if error or not layout.is_better(new.slot, old.node_id) or _is_refused(new):
                shunned.update([new.node_id] if _is_refused(new) else [])
                want(tx, new, TaskState.SHUTDOWN)
            elif new.status.state < _enough(service.rebalance):
                under_way += 1
            else:
                want(tx, old, TaskState.SHUTDOWN)
                moved += 1
        rebalance = replace(service.rebalance, moved=service.rebalance.moved + moved)
        if moved:
            rebalance = replace(rebalance, progress_at=now)
        if error:
            rebalance = replace(rebalance, completed_at=now, error=error)
        else:
            room = rebalance.max_unavailable - found.unsettled - under_way - moved
            # However things change meanwhile, it comes to an end.
            left = len(found.places) - rebalance.moved - under_way
            under_way += self._begin(tx, service, layout, found.movable, min(room, left), now)
            if not (under_way or moved or found.unsettled):
                rebalance = replace(rebalance, completed_at=now)
        if rebalance != service.rebalance:
            tx.update(replace(service, rebalance=rebalance))
        if rebalance.completed_at:
            self._forget(service_id)
        else:
            self._alarms.set(service_id, rebalance.progress_at + PATIENCE)

    def _begin(self, tx: Transaction, service: Service, layout: Layout, movable: set[int], most: int, now: int) -> int:
        """Begins up to `most` moves; how many."""
        assert service.rebalance is not None
        starts_first = service.rebalance.order is UpdateOrder.START_FIRST
        desired = TaskState.RUNNING if starts_first else TaskState.READY
        begun = 0
        while begun < most and (move := layout.next_move(movable, self._shunned[service.id])) is not None:
            tx.create(new_task(service, move.slot, move.node_id, self._ids, now, desired))
            layout.move(move)
            movable.discard(move.slot)
            begun += 1
        return begun

    def _forget(self, service_id: str) -> None:
        self._shunned.pop(service_id, None)
        self._alarms.clear(service_id)


def _is_wanted(service: Service) -> bool:
    return service.rebalance is not None and not service.rebalance.completed_at


def _obstacle(service: Service, now: int) -> str:
    """Why the rebalance cannot go on; empty if it can."""
    assert service.rebalance is not None
    if state_of(service) in ROLLING:
        return "an update of the service has begun, which places all tasks anew"
    if now >= service.rebalance.progress_at + PATIENCE:
        return f"no task could be moved for {format_duration(PATIENCE)}: see which do not run"
    return ""


def _situation(tx: Transaction, service: Service) -> _Situation:
    found = _Situation()
    for slot, tasks in tx.slots(service.id).items():
        assert isinstance(slot, int), "only replicated services are rebalanced"
        live = in_order(task for task in tasks if is_live(task))
        if len(live) > 1:
            found.moves.append((live[0], live[-1]))
        elif live and live[0].status.state is TaskState.RUNNING:
            found.movable.add(slot)
        elif live:
            found.unsettled += 1
        if live:
            found.places[slot] = live[-1].node_id
    return found


def _is_refused(task: Task) -> bool:
    return task.status.state < TaskState.ASSIGNED and bool(task.status.err)


def _enough(rebalance: Rebalance) -> TaskState:
    """How far the new task must have come before the old one may stop."""
    return TaskState.RUNNING if rebalance.order is UpdateOrder.START_FIRST else TaskState.READY
