"""One agent's session: what it is still to be told, gathered until it is written. One writer per stream."""

import asyncio
from collections.abc import AsyncIterator, Callable

from core.codec import encode
from core.errors import PyswarmError
from core.model import IngressState, Task
from manager.dispatcher.assignments import NodeAssignments
from manager.store import View
from proto import dispatcher_pb2 as pb


class AgentSession:
    """From registration until the stream ends. Everything is called on the loop."""

    def __init__(self, session_id: str, node_id: str) -> None:
        self.id = session_id
        self.node_id = node_id
        self.assignments = NodeAssignments(node_id)
        self.acked_ingress = 0
        """The highest ingress version that is in force on the node."""
        self.closed = asyncio.Event()
        self._wake = asyncio.Event()
        self._outbox: list[pb.DispatcherMessage] = []
        self._ingress_due = True
        self._info: pb.SessionInfo | None = None
        self._error: PyswarmError | None = None

    def touch(self, task_id: str) -> None:
        self.assignments.touch(task_id)
        self._wake.set()

    def send(self, message: pb.DispatcherMessage) -> None:
        self._outbox.append(message)
        self._wake.set()

    def tell(self, info: pb.SessionInfo) -> None:
        """Sent if it differs from what was told last."""
        if info != self._info:
            first = self._info is None
            self._info = info
            if first:
                self.send(pb.DispatcherMessage(welcome=pb.Welcome(session_id=self.id, info=info)))
            else:
                self.send(pb.DispatcherMessage(info=info))

    def ingress_changed(self) -> None:
        self._ingress_due = True
        self._wake.set()

    def close(self, error: PyswarmError | None = None) -> None:
        """Ends the stream, with `error` if there is one."""
        self._error = self._error or error
        self.closed.set()
        self._wake.set()

    async def messages(
        self, view: View, is_released: Callable[[Task], bool], ingress: Callable[[], IngressState]
    ) -> AsyncIterator[pb.DispatcherMessage]:
        """Until `close`; raises its error. What changes while a message is being written goes in the next one."""
        while not self.closed.is_set():
            self._wake.clear()
            outbox, self._outbox = self._outbox, []
            for message in outbox:
                yield message
            assignments = self.assignments.next(view, is_released)
            if assignments is not None:
                yield pb.DispatcherMessage(assignments=assignments)
            if self._ingress_due:
                self._ingress_due = False
                yield pb.DispatcherMessage(ingress=encode(ingress()))
            await self._wake.wait()
        if self._error is not None:
            raise self._error
