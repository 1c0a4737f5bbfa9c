"""One member's stream to another: requests go out, answers come back, in order or not at all.

A message that cannot be sent at once is worth nothing later: a broken or overfull stream is dropped whole and begun
anew, and the engine sends again what was not acknowledged.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import grpc

from core.backoff import Backoff
from core.errors import InvalidArgument
from core.logs import logger
from identity.credentials import Credentials
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftStub
from raft import codec
from raft.membership import Peer
from raft.messages import Append, Message

log = logger("raft.link")
REMOVED_KEY = "pyswarm-raft-removed"
"""Trailing metadata that tells a member it is none any more."""
_CONNECT_TIMEOUT = 2.0
_MAX_QUEUED = 128 << 20
"""Bytes."""
_HEAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Connection:
    """Of a stream that is up, for a call beside it."""

    channel: grpc.aio.Channel
    hello: pb.RaftMessage.Hello


class Link:
    """Runs until `close`. Callbacks are called on the loop."""

    def __init__(
        self,
        own: Peer,
        peer: Peer,
        credentials: Credentials,
        rng: Random,
        received: Callable[[str, Message], None],
        changed: Callable[[str, bool], None],
        removed: Callable[[], None],
    ) -> None:
        self.peer = peer
        self.up = False
        self._own = own
        self._credentials = credentials
        self._backoff = Backoff(rng, first=0.05, limit=1.0)
        self._received = received
        self._changed = changed
        self._removed = removed
        self._queue: deque[Message] = deque()
        self._queued = 0
        self._wake = asyncio.Event()
        self._retry = asyncio.Event()
        self.connection: Connection | None = None
        self._session: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._run(), name=f"raft link to {peer.node_id}")

    def send(self, message: Message) -> None:
        if not self.up:
            return
        self._queued += _size(message)
        if self._queued > _MAX_QUEUED:
            log.warning("a manager does not keep up; its stream is begun anew", node=self.peer.node_id)
            self.renew()
            return
        self._queue.append(message)
        self._wake.set()

    def renew(self, peer: Peer | None = None) -> None:
        """Connects anew: to another address, or with another certificate."""
        self.peer = peer or self.peer
        self._backoff.reset()
        self._retry.set()
        if self._session is not None:
            self._session.cancel()

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            self._retry.clear()
            self._session = asyncio.create_task(self._one_session())
            self._session.add_done_callback(_look_at)
            try:
                await asyncio.wait((self._session,))
            finally:
                self._session.cancel()
                self._mark(False)
            if not self._session.cancelled():
                self._explain(self._session.exception())
            with suppress(TimeoutError):
                async with asyncio.timeout(self._backoff.next()):
                    await self._retry.wait()

    async def _one_session(self) -> None:
        self._queue.clear()
        self._queued = 0
        async with self._credentials.channel(self.peer.addr, self.peer.node_id) as channel:
            call = RaftStub(channel).Exchange()
            hello = pb.RaftMessage.Hello(
                incarnation=self._own.incarnation, expected=self.peer.incarnation, addr=self._own.addr
            )
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    await call.write(pb.RaftMessage(hello=hello))
                    await call.initial_metadata()
                self.connection = Connection(channel, hello)
                self._mark(True)
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._write(call))
                    group.create_task(self._read(call))
            finally:
                call.cancel()
                self.connection = None

    async def _write(self, call: "grpc.aio.StreamStreamCall[pb.RaftMessage, pb.RaftMessage]") -> None:
        while True:
            while self._queue:
                message = self._queue.popleft()
                await call.write(codec.encode_message(message))
                self._queued -= _size(message)
            self._wake.clear()
            await self._wake.wait()

    async def _read(self, call: "grpc.aio.StreamStreamCall[pb.RaftMessage, pb.RaftMessage]") -> None:
        while True:
            wire = await call.read()
            if not isinstance(wire, pb.RaftMessage):
                raise ConnectionResetError("the stream ended")
            self._backoff.reset()
            self._received(self.peer.node_id, codec.decode_message(wire))

    def _mark(self, up: bool) -> None:
        if up != self.up:
            self.up = up
            self._changed(self.peer.node_id, up)

    def _explain(self, failure: BaseException | None) -> None:
        cause = failure.exceptions[0] if isinstance(failure, BaseExceptionGroup) else failure
        match cause:
            case grpc.aio.AioRpcError():
                metadata = cause.trailing_metadata()
                if metadata is not None and REMOVED_KEY in metadata:
                    self._removed()
                log.debug("no stream to a manager", node=self.peer.node_id, addr=self.peer.addr, reason=cause.details())
            case TimeoutError() | ConnectionResetError() | asyncio.InvalidStateError() | None:
                log.debug("no stream to a manager", node=self.peer.node_id, addr=self.peer.addr, reason=str(cause))
            case InvalidArgument():
                log.warning("a manager sent what cannot be read", node=self.peer.node_id, reason=cause.message)
            case _:
                log.error("a fault of ours in the stream to a manager", node=self.peer.node_id, exc_info=cause)


def _size(message: Message) -> int:
    """About how many bytes it takes."""
    return _HEAD_BYTES + (message.size if isinstance(message, Append) else 0)


def _look_at(session: "asyncio.Task[None]") -> None:
    """However it ended: while the link is being closed nobody else asks."""
    if not session.cancelled():
        session.exception()
