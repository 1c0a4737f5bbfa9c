"""The ingress state on its way to all sessions."""

import asyncio
from collections.abc import Mapping

from core.codec import encode
from manager.dispatcher.ingress_state import IngressTable
from manager.dispatcher.session import AgentSession
from proto import dispatcher_pb2 as pb

_BYTES_PER_SECOND = 100 << 20
"""What the loop writes with a fraction of its time."""


class IngressBroadcast:
    """A change goes out at once. As every node is sent the whole state, the cost grows with the square of a cluster's
    size: after each round there is a rest in proportion, and then the newest state goes out.
    """

    def __init__(self, table: IngressTable, sessions: Mapping[str, AgentSession]) -> None:
        self._table = table
        self._sessions = sessions
        self._changed = asyncio.Event()
        self._message: pb.DispatcherMessage | None = None

    def changed(self) -> None:
        """The table has a new version."""
        self._changed.set()

    def message(self) -> pb.DispatcherMessage:
        """The newest state: for a session that begins."""
        if self._message is None or self._message.ingress.version != self._table.version:
            self._message = pb.DispatcherMessage(ingress=encode(self._table.state()))
        return self._message

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            message = self.message()
            for session in self._sessions.values():
                session.follow(message)
            await asyncio.sleep(len(self._sessions) * message.ByteSize() / _BYTES_PER_SECOND)
