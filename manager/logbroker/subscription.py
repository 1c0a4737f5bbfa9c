"""One reader's log: which nodes are asked for which tasks, and when all that there is has come."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.clock import Clock
from core.errors import InvalidArgument, PyswarmError
from core.model import LogLine, LogOptions, Task, TaskState
from manager.logbroker.buffer import LineBuffer
from manager.logbroker.order import WINDOW, TimeOrder
from manager.logbroker.part import NodePart
from manager.store import Event, EventKind, View
from proto import dispatcher_pb2 as pb

_NEVER = float("inf")
_MAX_TEXT = 1_000
"""Characters of a node's error that are passed on."""
_MOST_WARNINGS = 100
"""Of errors that nodes report: no more are kept for the end."""


class Session(Protocol):
    """What is needed of a node's session."""

    @property
    def node_id(self) -> str: ...

    def subscribe(self, message: pb.LogSubscription) -> None: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds, for nodes that have a session."""

    answer: float = 10.0
    """Until the first word; only where nothing is followed, as a follower may be silent for ever."""
    silence: float = 30.0
    """Between two words; there too."""
    order: float = WINDOW
    """For which a line waits for earlier ones of other tasks."""


class Subscription:
    """`sessions` are the open ones, by node id."""

    def __init__(
        self,
        subscription_id: str,
        view: View,
        sessions: Mapping[str, Session],
        clock: Clock,
        asked: tuple[Sequence[str], Sequence[str]],
        options: LogOptions,
        patience: Patience,
    ) -> None:
        self.id = subscription_id
        self._view = view
        self._sessions = sessions
        self._clock = clock
        self._service_ids, self._task_ids = map(frozenset, asked)
        self._options = options
        self._patience = patience
        self._parts: dict[str, NodePart] = {}
        self._buffer = LineBuffer()
        self._order = TimeOrder(patience.order)
        self._warnings: list[LogLine] = []
        self._error: PyswarmError | None = None

    def begin(self) -> None:
        """Asks for all tasks that have a node; without `follow`, says how many do not yet."""
        found = [task for service_id in self._service_ids for task in self._view.tasks_of_service(service_id)]
        found += [task for task_id in self._task_ids if (task := self._view.task(task_id)) is not None]
        self._ask(found)
        if not self._options.follow and (unplaced := [task for task in found if _waits_for_a_node(task)]):
            self._warnings.append(self._without_node(unplaced))

    def observe(self, events: Iterable[Event]) -> None:
        """With `follow`: asks for tasks that have come, and ends once everything asked for has gone."""
        if not self._options.follow:
            return
        changed = [event.object for event in events if event.kind is not EventKind.DELETE]
        self._ask([item for item in changed if isinstance(item, Task) and self._wants(item)])
        self._buffer.changed.set()

    async def lines(self) -> AsyncGenerator[LogLine, None]:
        """Raises what `fail` was told."""
        while True:
            self._buffer.changed.clear()
            self._order.add(self._buffer.take(), self._now())
            for line in self._order.take(self._now(), self._awaited()):
                yield line
            if self._error is not None:
                raise self._error
            if self._buffer.changed.is_set():
                continue
            if self._is_complete():
                break
            await self._wait()
        for line in (*self._order.rest(), *self._warnings):
            yield line

    async def receive(
        self, node_id: str, first: pb.PublishLogsRequest, rest: AsyncIterator[pb.PublishLogsRequest]
    ) -> None:
        """One stream of what the node sends, as fast as it is read. Raises InvalidArgument once nobody reads."""
        part = self._parts[node_id]
        round_ = part.round
        try:
            await self._take(part, first)
            async for request in rest:
                await self._take(part, request)
        finally:
            if part.round == round_:
                self._give_up(part, "its log broke off")

    def asks(self, node_id: str) -> bool:
        return node_id in self._parts

    def node_left(self, node_id: str) -> None:
        if node_id in self._parts:
            self._give_up(self._parts[node_id], "it left before its log was complete")

    def node_came(self, session: Session) -> None:
        """What an earlier session was asked for it will not send. With `follow`, the node goes on where it was."""
        part = self._parts.get(session.node_id)
        if part is None:
            return
        if self._options.follow:
            self._send(part, session, list(part.tasks), part.resume(self._options))
        else:
            self._give_up(part, "its connection was interrupted")

    def fail(self, error: PyswarmError) -> None:
        self._error = error
        self._buffer.changed.set()

    def close(self) -> None:
        """Nobody reads any more."""
        self._buffer.close()
        for node_id in self._parts:
            if node_id in self._sessions:
                self._sessions[node_id].subscribe(pb.LogSubscription(id=self.id, close=True))

    async def _take(self, part: NodePart, request: pb.PublishLogsRequest) -> None:
        if self._buffer.closed or request.subscription_id != self.id:
            raise InvalidArgument("nobody reads this log any more")
        part.deadline = _NEVER  # while the reader is slow
        await self._buffer.put(part.read(request), request.ByteSize())
        part.deadline = self._now() + self._patience.silence
        if request.error:
            await self._pass_on(part, request.error)
        if request.done:
            self._end(part)

    def _wants(self, task: Task) -> bool:
        return task.service_id in self._service_ids or task.id in self._task_ids

    def _ask(self, tasks: Iterable[Task]) -> None:
        by_node: dict[str, list[Task]] = {}
        for task in tasks:
            if task.node_id and task.status.state >= TaskState.ASSIGNED:
                by_node.setdefault(task.node_id, []).append(task)
        for node_id, here in by_node.items():
            part = self._parts.setdefault(node_id, NodePart(node_id))
            new = part.add(here)
            session = self._sessions.get(node_id)
            if session is not None and new:
                self._send(part, session, new, self._options)
            elif new:
                self._warn(part, "it is not available")

    def _send(self, part: NodePart, session: Session, task_ids: Sequence[str], options: LogOptions) -> None:
        part.over = False
        part.deadline = self._now() + self._patience.answer
        asked = pb.LogOptions(
            stdout=options.stdout,
            stderr=options.stderr,
            follow=options.follow,
            since=options.since,
            tail=options.tail,
            details=options.details,
        )
        session.subscribe(pb.LogSubscription(id=self.id, task_ids=task_ids, options=asked))

    def _is_complete(self) -> bool:
        if self._options.follow:
            return all(self._view.service(service_id) is None for service_id in self._service_ids) and all(
                self._view.task(task_id) is None for task_id in self._task_ids
            )
        return all(part.over for part in self._parts.values())

    def _awaited(self) -> Iterator[str]:
        """The tasks from which more lines may come. Of one that is followed and has ended, few: none waits for them."""
        for part in self._parts.values():
            for task_id in () if part.over else part.tasks:
                task = self._view.task(task_id) if self._options.follow else None
                if not self._options.follow or (task is not None and task.status.state <= TaskState.RUNNING):
                    yield task_id

    async def _wait(self) -> None:
        """Until something has changed, a line has waited for long enough, or a node has been silent for too long."""
        open_parts = [part for part in self._parts.values() if not part.over and not self._options.follow]
        held = self._order.deadline
        deadline = min((part.deadline for part in open_parts), default=_NEVER)
        deadline = deadline if held is None else min(deadline, held)
        try:
            async with asyncio.timeout_at(deadline if deadline < _NEVER else None):
                await self._buffer.changed.wait()
        except TimeoutError:
            for part in open_parts:
                if part.deadline <= deadline:
                    self._give_up(part, "it does not answer")

    def _end(self, part: NodePart) -> None:
        part.over = True
        self._buffer.changed.set()

    def _give_up(self, part: NodePart, reason: str) -> None:
        if not part.over:
            self._warn(part, reason)
            self._end(part)

    async def _pass_on(self, part: NodePart, error: str) -> None:
        """What the node could not read: as bounded as its lines are."""
        line = self._warning(part, error[:_MAX_TEXT])
        if self._options.follow:
            await self._buffer.put([line], len(line.data))
        elif len(self._warnings) < _MOST_WARNINGS:
            self._warnings.append(line)

    def _warn(self, part: NodePart, reason: str) -> None:
        """At the end; a follower, for whom there is none, is told at once."""
        if self._options.follow:
            self._buffer.push(self._warning(part, reason))
        else:
            self._warnings.append(self._warning(part, reason))

    def _warning(self, part: NodePart, reason: str) -> LogLine:
        node = self._view.node(part.node_id)
        name = node.description.hostname if node is not None and node.description is not None else part.node_id
        text = f"warning: incomplete log from node {name}: {reason}\n"
        task_id, service_id = next(iter(part.tasks.items()))
        return LogLine(service_id, part.node_id, task_id, self._clock.now(), True, text.encode())

    def _without_node(self, tasks: Sequence[Task]) -> LogLine:
        first, have = tasks[0], "task has" if len(tasks) == 1 else "tasks have"
        text = f"warning: incomplete log: {len(tasks)} {have} not been scheduled: pyswarm service explain says why\n"
        return LogLine(first.service_id, "", first.id, self._clock.now(), True, text.encode())

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _waits_for_a_node(task: Task) -> bool:
    return task.status.state < TaskState.ASSIGNED and task.desired_state < TaskState.SHUTDOWN
