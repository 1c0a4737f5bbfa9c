"""What the agent sees of a manager: the part of the generated stub that it uses. Simulations put their own here."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import grpc

from proto import dispatcher_pb2 as pb
from proto.dispatcher_pb2_grpc import DispatcherStub


class Stream(Protocol):
    """A grpc.aio stream-stream call."""

    async def write(self, request: pb.AgentMessage) -> None: ...

    async def read(self) -> Any:
        """The next message, or anything that is none (grpc.aio.EOF) at the end."""
        ...

    def cancel(self) -> bool: ...


class Dispatcher(Protocol):
    def Session(self) -> Stream: ...

    def PublishLogs(self, requests: AsyncIterable[pb.PublishLogsRequest]) -> Awaitable[pb.PublishLogsResponse]: ...


Connect = Callable[[str], AbstractAsyncContextManager[Dispatcher]]
"""Opens a connection to the manager at host:port, and closes it."""


def over_channel(channel: Callable[[str], grpc.aio.Channel]) -> Connect:
    """Connections over gRPC. `channel` makes a new one to an address: one per session, so that each session is held
    with the certificate of its time."""

    @asynccontextmanager
    async def connect(addr: str) -> AsyncIterator[Dispatcher]:
        async with channel(addr) as opened:
            stub: Any = DispatcherStub(opened)
            yield stub

    return connect
