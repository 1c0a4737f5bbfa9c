"""A manager's dispatcher as an agent sees it, without a network: a test plays the leader by hand."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

from core import codec
from core.errors import Unavailable
from core.model import Task, TaskStatus
from proto import dispatcher_pb2 as pb

_END = object()


class PlayedSession:
    """The manager's end of one session stream."""

    def __init__(self) -> None:
        self.received: list[pb.AgentMessage] = []
        self.cancelled = False
        self._to_agent: asyncio.Queue[object] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._sequence = 0

    async def write(self, request: pb.AgentMessage) -> None:
        self.received.append(request)
        self._changed.set()

    async def read(self) -> Any:
        item = await self._to_agent.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def cancel(self) -> bool:
        self.cancelled = True
        self._to_agent.put_nowait(asyncio.CancelledError())
        self._changed.set()
        return True

    def send(self, **body: Any) -> None:
        self._to_agent.put_nowait(pb.DispatcherMessage(**body))

    def welcome(self, managers: Collection[str] = (), heartbeat_period: int = 10**9) -> None:
        peers = [pb.ManagerPeer(node_id=addr, addr=addr) for addr in managers]
        info = pb.SessionInfo(managers=peers, heartbeat_period=heartbeat_period)
        self.send(welcome=pb.Welcome(session_id="session", info=info))

    def complete(self, *tasks: Task) -> None:
        self._assign(pb.Assignments.COMPLETE, tasks, (), ())

    def incremental(self, *tasks: Task, removed: Collection[str] = (), released: Collection[str] = ()) -> None:
        self._assign(pb.Assignments.INCREMENTAL, tasks, removed, released)

    def skip(self) -> None:
        """An assignment is lost on its way."""
        self._sequence += 1

    def fail(self, error: BaseException) -> None:
        self._to_agent.put_nowait(error)

    def close(self) -> None:
        self._to_agent.put_nowait(_END)

    def reports(self) -> list[pb.StatusReport]:
        return [message.status for message in self.received if message.HasField("status")]

    def count(self, body: str) -> int:
        return sum(message.WhichOneof("body") == body for message in self.received)

    def statuses(self) -> dict[str, TaskStatus]:
        """The newest status reported for each task."""
        return {
            update.task_id: codec.decode(TaskStatus, update.status)
            for report in self.reports()
            for update in report.updates
        }

    def ack_all(self) -> None:
        for report in self.reports()[-1:]:
            self.send(status_ack=pb.StatusAck(sequence=report.sequence))

    async def until(self, condition: Callable[["PlayedSession"], object]) -> None:
        """Acks every report until `condition` holds."""
        while not condition(self):
            await self._changed.wait()
            self._changed.clear()
            self.ack_all()

    def _assign(
        self, kind: "pb.Assignments.Kind", tasks: Collection[Task], removed: Collection[str], released: Collection[str]
    ) -> None:
        before, self._sequence = self._sequence, self._sequence + 1
        assignments = pb.Assignments(
            kind=kind,
            applies_to=before,
            results_in=self._sequence,
            tasks=codec.pack_tasks(tasks),
            removed=removed,
            released=released,
        )
        self.send(assignments=assignments)


class PlayedManager:
    """A manager at an address. While `refusal` is set every session ends with it at once."""

    def __init__(self) -> None:
        self.refusal: Exception | None = None
        self.sessions: list[PlayedSession] = []
        self.published: list[pb.PublishLogsRequest] = []
        self._opened: asyncio.Queue[PlayedSession] = asyncio.Queue()

    def Session(self) -> PlayedSession:
        session = PlayedSession()
        self.sessions.append(session)
        if self.refusal is not None:
            session.fail(self.refusal)
        else:
            self._opened.put_nowait(session)
        return session

    async def PublishLogs(self, requests: AsyncIterable[pb.PublishLogsRequest]) -> pb.PublishLogsResponse:
        async for request in requests:
            self.published.append(request)
        return pb.PublishLogsResponse()

    async def session(self) -> PlayedSession:
        """The next session that an agent opens, its registration received."""
        session = await self._opened.get()
        await session.until(lambda opened: opened.received)
        return session


class PlayedCluster:
    """Managers by address; `dialled` is every address an agent has tried, in order."""

    def __init__(self, *addrs: str) -> None:
        self.managers = {addr: PlayedManager() for addr in addrs}
        self.dialled: list[str] = []

    @asynccontextmanager
    async def connect(self, addr: str) -> AsyncIterator[PlayedManager]:
        self.dialled.append(addr)
        if addr not in self.managers:
            raise Unavailable(f"nobody at {addr}")
        yield self.managers[addr]
