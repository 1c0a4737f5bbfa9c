"""What the agent sees of a manager: the part of the generated stub that it uses. Simulations put their own here."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
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


_SESSION = (("grpc.http2.ping_timeout_ms", 2000), ("grpc.http2.bdp_probe", 0))
"""A manager that stands still (its host is paused) keeps its connections open: only a ping without an answer tells.
gRPC waits a minute for it, whatever the timeout of its keepalive is; a new leader waits four seconds for its nodes.
No pings among the data, to measure the line: on a slow one their answers wait behind it for longer than that."""


class OpenChannel(Protocol):
    def __call__(self, addr: str, *, options: Sequence[tuple[str, int | str]] = ()) -> grpc.aio.Channel: ...


def over_channel(channel: OpenChannel) -> Connect:
    """Connections over gRPC. `channel` makes a new one to an address: new ones for each session, so that it is held
    with the certificate of its time."""

    @asynccontextmanager
    async def connect(addr: str) -> AsyncIterator[Dispatcher]:
        async with channel(addr, options=_SESSION) as session, channel(addr) as logs:
            yield _Manager(session, logs)

    return connect


class _Manager:
    """What it says and hears in a session waits for no log: those go over a channel of their own, which connects when
    the first is asked for."""

    def __init__(self, session: grpc.aio.Channel, logs: grpc.aio.Channel) -> None:
        held: Any = DispatcherStub(session)
        beside: Any = DispatcherStub(logs)
        self.Session: Callable[[], Stream] = held.Session
        self.PublishLogs: Callable[[AsyncIterable[pb.PublishLogsRequest]], Awaitable[pb.PublishLogsResponse]] = (
            beside.PublishLogs
        )
