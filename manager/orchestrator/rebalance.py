"""Spreads a service's tasks again, as when a node has come back: so many at a time, and only while that makes it lie
more evenly.

A task is moved by making the next one of its slot on the node where it shall be. If the scheduler lets it have that
node, the old task stops once the new one is ready to start, its image pulled, or with start-first once it runs. If not,
nothing has changed but that another node is tried. What is under way is read off the tasks, so that a new leader goes
on with it.
"""

from collections.abc import Sequence
from dataclasses import replace

from core.clock import SECOND
from core.ids import IdSource
from core.model import Node, Rebalance, Service, Task, TaskState, UpdateOrder
from core.units import format_duration
from manager.orchestrator.layout import Layout
from manager.orchestrator.tasks import ended_by_itself, in_order, is_live, new_task, node_changed, want
from manager.orchestrator.update_status import is_unfinished
from manager.orchestrator.worklist import Alarms, Worklist
from manager.store import Event, EventKind, Slot, Transaction, slot_of

PATIENCE = 600 * SECOND
"""Without progress for so long, a rebalance is given up."""


class _Run:
    """Where a service's slots stand, kept by slot: a task's event costs the same however many there are."""

    def __init__(self, tx: Transaction, service: Service) -> None:
        self.layout = Layout(tx, service)
        self.moves: dict[Slot, tuple[Task, Task]] = {}
        """The old and the new task of slots that have both."""
        self.unsettled: set[Slot] = set()
        """Those with one task, that does not run. One without has been done with, or is to be removed."""
        self.touched: Worklist[Slot] = Worklist(tx.slots(service.id))
        """To be looked at."""

    def look(self, tx: Transaction, service: Service, slot: Slot) -> None:
        assert isinstance(slot, int), "only replicated services are rebalanced"
        self.moves.pop(slot, None)
        self.unsettled.discard(slot)
        live = in_order(task for task in tx.tasks_of_slot(service.id, slot) if is_live(task))
        if not live:
            self.layout.remove(slot)
        elif len(live) > 1:
            self.moves[slot] = (live[0], live[-1])
            self.layout.put(slot, live[-1].node_id, former=live[0].node_id)
        else:
            runs = live[0].status.state is TaskState.RUNNING
            self.layout.put(slot, live[0].node_id, movable=runs)
            if not runs:
                self.unsettled.add(slot)


class Rebalancer:
    """A Controller."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids
        self._services: Worklist[str] = Worklist()
        """To be looked at."""
        self._runs: dict[str, _Run] = {}
        self._shunned: dict[str, set[str]] = {}
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
                self._runs.pop(item.id, None)
                self._services.add(item.id)
        elif isinstance(item, Task):
            if (run := self._runs.get(item.service_id)) is not None:
                run.touched.add(slot_of(item))
                self._services.add(item.service_id)
                if ended_by_itself(item):
                    self._shunned[item.service_id].add(item.node_id)
        elif isinstance(item, Node) and node_changed(event):
            self._services.extend(self._runs)
            self._runs.clear()

    def _look(self, tx: Transaction, service_id: str, now: int) -> None:
        service = tx.service(service_id)
        if service is None or service.rebalance is None or not _is_wanted(service):
            self._forget(service_id)
            return
        run = self._runs.get(service_id)
        if run is None:
            run = self._runs[service_id] = _Run(tx, service)
            self._shunned.setdefault(service_id, set())
        while run.touched:
            run.look(tx, service, run.touched.pop())
        error = _obstacle(service, now)
        moved = self._go_on(tx, service, run, stop=bool(error))
        rebalance = replace(service.rebalance, moved=service.rebalance.moved + moved)
        if moved:
            rebalance = replace(rebalance, progress_at=now)
        if error:
            rebalance = replace(rebalance, completed_at=now, error=error)
        else:
            self._begin(tx, service, run, rebalance, now)
            if not (run.moves or run.unsettled or moved):
                rebalance = replace(rebalance, completed_at=now)
        if rebalance != service.rebalance:
            tx.update(replace(service, rebalance=rebalance))
        if rebalance.completed_at:
            self._forget(service_id)
        else:
            self._alarms.set(service_id, rebalance.progress_at + PATIENCE)

    def _go_on(self, tx: Transaction, service: Service, run: _Run, stop: bool) -> int:
        """Ends the old tasks whose new ones have come far enough, and the new ones that are not to be; how many slots
        have been moved."""
        assert service.rebalance is not None
        moved = 0
        for slot, (old, new) in list(run.moves.items()):
            if is_unfinished(service) and new.spec_version == service.spec_version:
                continue  # it is the update's
            refused = new.status.state < TaskState.ASSIGNED and bool(new.status.err)
            if refused:
                self._shunned[service.id].add(new.node_id)
            if stop or refused or not run.layout.is_better(new.slot):
                want(tx, new, TaskState.SHUTDOWN)
            elif new.status.state >= _enough(service.rebalance):
                want(tx, old, TaskState.SHUTDOWN)
                moved += 1
            run.look(tx, service, slot)
        return moved

    def _begin(self, tx: Transaction, service: Service, run: _Run, rebalance: Rebalance, now: int) -> None:
        """Begins as many moves as may be under way beside those that are."""
        starts_first = rebalance.order is UpdateOrder.START_FIRST
        desired = TaskState.RUNNING if starts_first else TaskState.READY
        # However things change meanwhile, it comes to an end.
        left = len(run.layout) - rebalance.moved
        while len(run.moves) < min(left, rebalance.max_unavailable - len(run.unsettled)):
            move = run.layout.next_move(self._shunned[service.id])
            if move is None:
                return
            tx.create(new_task(service, move.slot, move.node_id, self._ids, now, desired))
            run.look(tx, service, move.slot)

    def _forget(self, service_id: str) -> None:
        self._runs.pop(service_id, None)
        self._shunned.pop(service_id, None)
        self._alarms.clear(service_id)


def _is_wanted(service: Service) -> bool:
    return service.rebalance is not None and not service.rebalance.completed_at


def _obstacle(service: Service, now: int) -> str:
    """Why the rebalance cannot go on; empty if it can."""
    assert service.rebalance is not None
    if is_unfinished(service):
        return "an update of the service has begun, which places all tasks anew"
    if now >= service.rebalance.progress_at + PATIENCE:
        return f"no task could be moved for {format_duration(PATIENCE)}: see which do not run"
    return ""


def _enough(rebalance: Rebalance) -> TaskState:
    """How far the new task must have come before the old one may stop."""
    return TaskState.RUNNING if rebalance.order is UpdateOrder.START_FIRST else TaskState.READY
