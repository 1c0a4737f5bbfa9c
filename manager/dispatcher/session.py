"""One agent's session, and what it is still to be told: always the newest state, however slowly it is read."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from core.errors import PyswarmError
from core.model import Role
from manager.dispatcher.assignments import NodeAssignments
from manager.dispatcher.inbox import StatusInbox
from manager.dispatcher.turnstile import Turnstile
from proto import dispatcher_pb2 as pb


class Source(Protocol):
    """Where the messages' contents come from when they are about to be written."""

    def next_assignments(self, session: "AgentSession") -> list[pb.Assignments]: ...


class AgentSession:
    """From registration until the stream ends. Everything is called on the loop."""

    def __init__(self, session_id: str, node_id: str, role: Role, turnstile: Turnstile) -> None:
        self.id = session_id
        self.node_id = node_id
        self.role = role
        """Of the certificate that it was opened with."""
        self.assignments = NodeAssignments(node_id)
        self.inbox = StatusInbox()
        self.closed = False
        self._error: PyswarmError | None = None
        self._turnstile = turnstile
        self._awake = asyncio.Event()
        self._info = pb.SessionInfo()
        self._told: pb.SessionInfo | None = None
        self._ack: int | None = None
        self._assignments_due = True
        self._ingress: pb.DispatcherMessage | None = None
        self._ingress_version = -1
        """The last one sent."""
        self._logs: dict[str, pb.LogSubscription] = {}
        self._subscribed: set[str] = set()
        """Log subscriptions that the agent has been told of."""

    def tell(self, info: pb.SessionInfo) -> None:
        """Sent if it differs from what was told last."""
        self._info = info
        self._wake()

    def touch(self, task_id: str) -> None:
        """What the node shall do about the task may have changed."""
        self.assignments.touch(task_id)
        self._assignments_due = True
        self._wake()

    def follow(self, ingress: pb.DispatcherMessage) -> None:
        """The node shall follow this ingress state, instead of one that is not sent yet."""
        if ingress.ingress.version > self._ingress_version:
            self._ingress = ingress
            self._wake()

    def ack(self, sequence: int) -> None:
        """The agent's status reports up to `sequence` are committed."""
        self._ack = sequence
        self._wake()

    def subscribe(self, message: pb.LogSubscription) -> None:
        """Asks for logs, for those of more tasks, or for no more."""
        pending = self._logs.pop(message.id, None)
        if message.close:
            if message.id not in self._subscribed:
                return
            self._subscribed.discard(message.id)
        elif pending is not None:
            message.task_ids.extend(pending.task_ids)
        self._logs[message.id] = message
        self._wake()

    def close(self, error: PyswarmError | None = None) -> None:
        """Ends the stream, with `error` if there is one. Only the first call counts."""
        if not self.closed:
            self.closed = True
            self._error = error
            self._wake()

    async def messages(self, source: Source) -> AsyncIterator[pb.DispatcherMessage]:
        """Until `close`; raises its error. What changes in one turn of the loop, or while a message is being written,
        is one message."""
        self._awake.set()
        while True:
            await self._awake.wait()
            self._awake.clear()
            for message in self._next_messages(source):
                if self.closed:
                    break
                yield message
            if self._error is not None:
                raise self._error
            if self.closed:
                return

    def _wake(self) -> None:
        self._turnstile.wake(self._awake)

    def _next_messages(self, source: Source) -> Iterator[pb.DispatcherMessage]:
        if self._ack is not None:
            sequence, self._ack = self._ack, None
            yield pb.DispatcherMessage(status_ack=pb.StatusAck(sequence=sequence))
        if self._told is None:
            self._told = self._info
            yield pb.DispatcherMessage(welcome=pb.Welcome(session_id=self.id, info=self._info))
        elif self._told != self._info:
            self._told = self._info
            yield pb.DispatcherMessage(info=self._info)
        if self._assignments_due:
            self._assignments_due = False
            for assignments in source.next_assignments(self):
                yield pb.DispatcherMessage(assignments=assignments)
        if self._ingress is not None:
            ingress, self._ingress = self._ingress, None
            self._ingress_version = ingress.ingress.version
            yield ingress
        logs, self._logs = self._logs, {}
        for subscription in logs.values():
            if not subscription.close:
                self._subscribed.add(subscription.id)
            yield pb.DispatcherMessage(logs=subscription)
