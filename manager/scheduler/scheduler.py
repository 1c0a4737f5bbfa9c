"""PENDING to ASSIGNED: gives every waiting task a node, or says on it why there is none.

Decisions are made inside the transaction that stores them, on its newest state: nothing can have changed between.
A task that finds no node is looked at again when a node changes or a task gives its room back, never by the clock; the
one exception is a suspected node (its connection broke a moment ago), as nothing tells when it is trusted again.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from core.clock import SECOND
from core.model import Node, Service, Task, TaskState, TaskStatus
from manager.scheduler.failures import Failures
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.nodes import Nodes
from manager.scheduler.pool import Pool
from manager.scheduler.preferences import spread_by_labels
from manager.scheduler.queue import Group, Queue, key_of
from manager.scheduler.requirements import RequirementsCache
from manager.scheduler.spread import spread, stay
from manager.store import Event, EventKind, Transaction

MAX_TASKS = 200
"""Tasks that one step changes or looks at."""
MAX_READ = 1_000
"""Tasks that one step reads at the start."""
SUSPECT_RETRY = SECOND
_FAILED = (TaskState.FAILED, TaskState.REJECTED)


class Scheduler:
    """A Controller. `is_suspect` tells of a node's id whether the node's connection is broken just now."""

    def __init__(self, is_suspect: Callable[[str], bool], max_tasks: int = MAX_TASKS) -> None:
        self._is_suspect = is_suspect
        self._max_tasks = max_tasks
        self._unread: Iterator[str] = iter(())
        self._reset()

    def start(self, tx: Transaction, now: int) -> int | None:
        """Notes what there is to read; the work itself is done by `step`."""
        self._reset()
        for node in tx.nodes():
            self._nodes.put(node)
        self._unread = iter([task.id for task in tx.tasks()])  # the tables change under us
        return now

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> int | None:
        for event in events:
            self._observe(event, tx, now)
        if self._read_on(tx):
            return now
        for info in tuple(self._nodes.suspects):
            self._nodes.check_trust(info)
        self._queue.wake_late(now)
        left = self._max_tasks - self._close_unwanted(tx, now)
        if left <= 0:
            return now
        for group in self._due():
            left -= max(1, self._serve(group, tx, now, left))
            if left <= 0:
                return now
        return self._next_look(now)

    def _reset(self) -> None:
        cache = RequirementsCache()
        self._nodes = Nodes(cache, self._is_suspect)
        self._queue = Queue(cache)
        self._failures = Failures()
        self._unwanted: set[str] = set()

    def _read_on(self, tx: Transaction) -> bool:
        """Takes in what was there at the start, a part at a time; whether it did. Until all is known nothing is
        placed."""
        part = list(islice(self._unread, MAX_READ))
        for task_id in part:
            task = tx.task(task_id)
            if task is None:
                continue
            self._take_in(task)
            if task.status.state in _FAILED:
                self._note_failure(task, task.meta.updated_at)
        return bool(part)

    def _observe(self, event: Event, tx: Transaction, now: int) -> None:
        item, old = event.object, event.old
        deleted = event.kind is EventKind.DELETE
        if isinstance(item, Node):
            if deleted:
                self._nodes.drop(item.id)
                return
            is_new = self._nodes.get(item.id) is None
            self._nodes.put(item)
            if is_new:
                for task in tx.tasks_of_node(item.id):
                    self._nodes.observe(task)
        elif isinstance(item, Task):
            if deleted:
                self._nodes.forget(item)
                self._queue.discard(item)
                return
            before = old if isinstance(old, Task) else None
            if before is not None and before.node_id != item.node_id:
                self._queue.discard(before)
            self._take_in(item)
            if item.status.state in _FAILED and before is not None and before.status.state not in _FAILED:
                self._note_failure(item, now)
        elif isinstance(item, Service) and deleted:
            self._failures.forget(item.id)

    def _take_in(self, task: Task) -> None:
        if task.status.state > TaskState.PENDING:
            self._queue.discard(task)
            self._nodes.observe(task)
        elif task.desired_state >= TaskState.SHUTDOWN:
            self._queue.discard(task)
            if task.desired_state is TaskState.SHUTDOWN:
                self._unwanted.add(task.id)
        elif task.status.state is TaskState.PENDING:
            self._queue.add(task)

    def _note_failure(self, task: Task, time: int) -> None:
        """Of a global service's task the node is given: it says nothing of the choice."""
        if task.slot:
            self._failures.note(task.service_id, task.spec_version, task.node_id, time)

    def _close_unwanted(self, tx: Transaction, now: int) -> int:
        """Tasks that are stopped before they ever had a node: no agent will say so, hence it is said here."""
        closed = 0
        while self._unwanted and closed < self._max_tasks:
            task = tx.task(self._unwanted.pop())
            if task is not None and task.status.state <= TaskState.PENDING:
                tx.change(task, status=TaskStatus(now, TaskState.SHUTDOWN, "stopped before it had a node"))
                closed += 1
        return closed

    def _due(self) -> Iterator[Group]:
        """Groups to serve, until there is none left whom the changes so far concern."""
        yield from self._queue.due()
        while changes := self._nodes.drain_changes():
            self._queue.wake(changes)
            yield from self._queue.due()

    def _next_look(self, now: int) -> int | None:
        """When something changes that no event tells of."""
        times = [now + SUSPECT_RETRY] if self._nodes.suspects and self._queue.anybody_waits else []
        return min([*times, *self._queue.late_times()], default=None)

    def _serve(self, group: Group, tx: Transaction, now: int, limit: int) -> int:
        """Gives nodes to up to `limit` tasks of the group, or tells them why there is none; how many it dealt with."""
        pool = self._pool(group, tx)
        places = self._places(group, pool, self._faulty(group, now), tx, min(limit, len(group)))
        placed = 0
        for task in self._tasks(group, group.first(limit), tx):
            info = next(places, None)
            if info is None:
                return placed + self._tell(group, pool.explain(), tx, now, limit - placed)
            self._nodes.place(_assign(tx, task, info, group, now), info, group.requirements)
            group.discard(task.id)
            placed += 1
        if not group:
            self._queue.rest(group)
        elif placed:
            self._queue.found_room(group)
        return placed

    def _pool(self, group: Group, tx: Transaction) -> Pool:
        if not group.node_id:
            return self._nodes.pool(group.requirements)
        known = self._nodes.get(group.node_id)
        if known is not None:
            self._refresh(known, tx)
        still = self._nodes.get(group.node_id)
        return Pool(group.requirements, [still] if still else [])

    def _places(
        self, group: Group, pool: Pool, faulty: Collection[NodeInfo], tx: Transaction, wanted: int
    ) -> Iterator[NodeInfo]:
        """A node for each task in turn, until no node of `pool` can take one."""
        copies = partial(self._nodes.copies, group.service_id)

        def can_take(info: NodeInfo) -> bool:
            self._refresh(info, tx)
            return pool.admits(info)

        if group.node_id:
            candidates = stay(pool)
        elif group.preferences:
            candidates = spread_by_labels(pool, self._nodes, copies(), faulty, group.preferences, can_take)
        else:
            candidates = spread(pool, copies, faulty, wanted)
        for info in candidates:
            if can_take(info):
                yield info

    def _faulty(self, group: Group, now: int) -> Collection[NodeInfo]:
        """The nodes on which many of the group's tasks have failed lately."""
        found = self._failures.faulty_nodes(group.service_id, group.spec_version, now)
        return [info for node_id in found if (info := self._nodes.get(node_id)) is not None]

    def _refresh(self, info: NodeInfo, tx: Transaction) -> None:
        """Others may have written in this transaction what no event has told us yet; and suspicion tells nothing."""
        node = tx.node(info.id)
        if node is None:
            self._nodes.drop(info.id)
            return
        if node is not info.node:
            self._nodes.put(node)
        self._nodes.check_trust(info)

    def _tell(self, group: Group, reason: str, tx: Transaction, now: int, limit: int) -> int:
        """Writes the reason on up to `limit` tasks that do not carry it yet."""
        self._queue.found_none(group, reason)
        later = group.wait_for(reason, now)
        untold = group.untold(limit)
        for task in self._tasks(group, untold, tx):
            if task.status.err != reason:
                tx.change(task, status=replace(task.status, timestamp=now, err=reason))
        if group.all_told:
            self._queue.rest(group, later)
        return len(untold)

    def _tasks(self, group: Group, task_ids: Sequence[str], tx: Transaction) -> Iterator[Task]:
        """The tasks as they are now; those that no longer wait for a node leave the group."""
        for task_id in task_ids:
            task = tx.task(task_id)
            if task is not None and key_of(task) == group.key and _waits(task):
                yield task
            else:
                group.discard(task_id)


def _waits(task: Task) -> bool:
    return task.status.state is TaskState.PENDING and task.desired_state < TaskState.SHUTDOWN


def _assign(tx: Transaction, task: Task, info: NodeInfo, group: Group, now: int) -> Task:
    message = "scheduler assigned task to node"
    if task.node_id:
        message = "scheduler confirmed task can run on preassigned node"
    wanted = group.requirements.generic
    return tx.change(
        task,
        node_id=info.id,
        status=TaskStatus(now, TaskState.ASSIGNED, message),
        generic=info.hand_out(wanted) if wanted else (),
    )
