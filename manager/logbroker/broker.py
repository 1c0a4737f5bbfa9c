"""Subscriptions: which tasks are asked for, on which nodes they are, and when all that there is has come."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from core.errors import InvalidArgument
from core.ids import IdSource
from core.model import LogLine, LogOptions, Task, TaskState
from manager.store import Commit, Store
from proto import dispatcher_pb2 as pb

_QUEUE_LINES = 1_000
"""Lines that wait for a slow reader; then its nodes wait."""
_PATIENCE = 10.0
"""Seconds to wait for a node's first word when nothing is followed."""


class Session(Protocol):
    """What the broker needs of a node's session."""

    id: str
    node_id: str

    def send(self, message: pb.DispatcherMessage) -> None: ...


class Sessions(Protocol):
    def get(self, node_id: str) -> Session | None: ...


class LogBroker:
    """`sessions` are the dispatcher's, by node id. Only the leader's broker has any."""

    def __init__(self, store: Store, sessions: Sessions, ids: IdSource) -> None:
        self._store = store
        self._sessions = sessions
        self._ids = ids
        self._subscriptions: dict[str, Subscription] = {}

    async def logs(
        self, service_ids: Sequence[str], task_ids: Sequence[str], options: LogOptions
    ) -> AsyncGenerator[LogLine, None]:
        """Lines of the tasks and the services' tasks, each task's in its own order. With `options.follow` also of tasks
        that come later, and without end. What could not be had is said in a last line on standard error."""
        subscription = Subscription(self._ids(), self._store, self._sessions, service_ids, task_ids, options)
        self._subscriptions[subscription.id] = subscription
        unwatch = self._store.watch(subscription.take)
        try:
            subscription.look()
            async for line in subscription.lines():
                yield line
        finally:
            unwatch()
            del self._subscriptions[subscription.id]
            subscription.close()

    async def publish(self, session: Session, request: pb.PublishLogsRequest) -> None:
        """Raises InvalidArgument if the subscription is not one of the session's node (any more)."""
        subscription = self._subscriptions.get(request.subscription_id)
        if subscription is None or session.node_id not in subscription.asked:
            raise InvalidArgument("nobody reads this subscription")
        await subscription.put(session.node_id, request)

    def node_left(self, session: Session) -> None:
        for subscription in self._subscriptions.values():
            subscription.node_left(session.node_id)


class Subscription:
    def __init__(
        self,
        subscription_id: str,
        store: Store,
        sessions: Sessions,
        service_ids: Sequence[str],
        task_ids: Sequence[str],
        options: LogOptions,
    ) -> None:
        self.id = subscription_id
        self.asked: dict[str, set[str]] = {}
        """Node id -> the tasks it was asked for."""
        self._store = store
        self._sessions = sessions
        self._services = frozenset(service_ids)
        self._task_ids = frozenset(task_ids)
        self._options = options
        self._waiting: set[str] = set()
        """Nodes that have not said that they are done."""
        self._silent: set[str] = set()
        """Nodes that have not said anything."""
        self._troubles: list[str] = []
        self._queue: asyncio.Queue[LogLine] = asyncio.Queue(_QUEUE_LINES)
        self._changed = asyncio.Event()

    def look(self) -> None:
        """Asks the nodes for every task that is there now."""
        tasks = [task for service_id in self._services for task in self._store.tasks_of_service(service_id)]
        tasks += [task for task_id in self._task_ids if (task := self._store.task(task_id)) is not None]
        self._ask(tasks)

    def take(self, commit: Commit) -> None:
        if self._options.follow:
            changed = (event.object for event in commit.events if isinstance(event.object, Task))
            self._ask([task for task in changed if task.service_id in self._services or task.id in self._task_ids])

    def _ask(self, tasks: Sequence[Task]) -> None:
        by_node: dict[str, list[str]] = {}
        for task in tasks:
            has_been_there = bool(task.node_id) and task.status.state >= TaskState.ASSIGNED
            if has_been_there and task.id not in self.asked.get(task.node_id, ()):
                by_node.setdefault(task.node_id, []).append(task.id)
        for node_id, task_ids in by_node.items():
            self.asked.setdefault(node_id, set()).update(task_ids)
            session = self._sessions.get(node_id)
            if session is None:
                self._troubles.append(f"node {node_id} is not available")
                continue
            self._waiting.add(node_id)
            self._silent.add(node_id)
            request = pb.LogSubscription(id=self.id, task_ids=task_ids, options=_options(self._options))
            session.send(pb.DispatcherMessage(logs=request))
        self._changed.set()

    async def put(self, node_id: str, request: pb.PublishLogsRequest) -> None:
        self._silent.discard(node_id)
        for line in request.lines:
            if line.task_id in self.asked[node_id]:
                await self._queue.put(_line(line, node_id))
        if request.error:
            self._troubles.append(f"node {node_id}: {request.error}")
        if request.done:
            self._waiting.discard(node_id)
        self._changed.set()

    def node_left(self, node_id: str) -> None:
        if node_id in self._waiting:
            self._waiting.discard(node_id)
            self._troubles.append(f"node {node_id} left before its logs were complete")
            self._changed.set()

    async def lines(self) -> AsyncGenerator[LogLine, None]:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            self._changed.clear()
            while not self._queue.empty():
                yield self._queue.get_nowait()
            if not self._options.follow:
                if not self._waiting and self._queue.empty():
                    break
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0:
                    self._give_up()
                    deadline += _PATIENCE
                    continue
            else:
                left = _PATIENCE
            try:
                async with asyncio.timeout(left):
                    await self._changed.wait()
            except TimeoutError:
                continue
        if self._troubles:
            text = "\n".join(f"error from daemon in stream: {trouble}" for trouble in self._troubles)
            yield LogLine(stderr=True, data=f"{text}\n".encode())

    def _give_up(self) -> None:
        for node_id in self._silent & self._waiting:
            self._waiting.discard(node_id)
            self._troubles.append(f"node {node_id} does not answer")

    def close(self) -> None:
        for node_id in self.asked:
            session = self._sessions.get(node_id)
            if session is not None:
                session.send(pb.DispatcherMessage(logs=pb.LogSubscription(id=self.id, close=True)))


def _options(options: LogOptions) -> pb.LogOptions:
    return pb.LogOptions(
        stdout=options.stdout,
        stderr=options.stderr,
        follow=options.follow,
        since=options.since,
        tail=options.tail,
    )


def _line(line: pb.LogLine, node_id: str) -> LogLine:
    """The node is who sent it, whatever the line says."""
    return LogLine(line.service_id, node_id, line.task_id, line.timestamp, line.stderr, line.data)
