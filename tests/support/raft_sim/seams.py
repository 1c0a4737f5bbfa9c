"""What stands in place of threads, sockets and gRPC while a world lasts. Everything else is the product's own."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from proto import raft_pb2 as pb
from raft.engine.engine import Engine
from raft.engine.events import Connected, Disconnected, Event, Output, Quit
from raft.membership import Configuration, Peer
from raft.messages import Message
from raft.storage.snapshot import Snapshot
from raft.thread import Mailbox
from raft.transport import snapshots as wire
from tests.support.raft_sim.disk import Crash

if TYPE_CHECKING:
    from tests.support.raft_sim.process import Process

RUNNING: "ContextVar[Process]" = ContextVar("RUNNING")
"""Whose process the code runs in that is running now."""
_INSTALL_SECONDS = 8.0
_MOST_TURNS = 3


class SimulatedThread:
    """In place of raft.thread.EngineThread: a turn at once for what comes, unless the process waits for its disk."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, failed: Callable[[Exception], None]) -> None:
        self.member = RUNNING.get()
        self.member.thread = self
        self.engine = engine
        self.ended = False
        self._loop = loop
        self._failed = failed
        self._post = engine.post
        self._started = False
        self._busy_until = 0.0
        self._due: asyncio.Handle | None = None
        self._next: asyncio.TimerHandle | None = None
        engine.post = self.post  # type: ignore[method-assign]

    def start(self) -> None:
        self._started = True
        self.wake()

    async def stop(self) -> None:
        self.post(Quit())
        while self._started and not self.ended:  # noqa: ASYNC110 - the thread is joined
            await asyncio.sleep(0.01)
        self.end()

    def end(self) -> None:
        if not self.ended:
            self.ended = True
            self.engine.close()

    def post(self, event: Event) -> None:
        self._post(event)
        self.wake()

    def wake(self) -> None:
        if self._started and self._due is None:
            at = max(self._busy_until, self.member.frozen_until)
            later = at > self._loop.time()
            context = self.member.context
            if later:
                self._due = self._loop.call_at(at, self._run, context=context)
            else:
                self._due = self._loop.call_soon(self._run, context=context)

    def _run(self) -> None:
        self._due = None
        if self.ended:
            return
        if self.member.frozen_until > self._loop.time():
            self.wake()
            return
        disk = self.member.disk
        try:
            self._turns()
        except Crash:
            self.member.crash()
            return
        except Exception as error:
            self.end()
            self._loop.call_soon(self._failed, error)
            return
        self._busy_until, disk.lag = self._loop.time() + disk.lag, 0.0
        if self._next is not None:
            self._next.cancel()
        self._next = self._loop.call_at(self._busy_until + max(self.engine.idle_for(), 0.001), self.wake)

    def _turns(self) -> None:
        self.member.before_turn()
        for turn in itertools.count(1):  # take the events, let the engine act on them, take what it left
            self.engine.step(block=False)
            if self.engine.quit:
                self.end()
                return
            if turn > 1 and (turn == _MOST_TURNS or self.engine.idle_for() > 0):
                break
        self.member.turned()


class SimulatedMailbox(Mailbox):
    """What a turn gave out leaves when the disk was done, and is taken when the loop has time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._member = RUNNING.get()
        self._taken_at = 0.0

    def send(self, messages: list[tuple[str, Message]]) -> None:
        self._later(self._member.disk.lag, super().send, messages)

    def give(self, outputs: list[Output]) -> None:
        busy = max(self._member.loop_lag, self._member.world.loop_lag * self._member.world.rng.random())
        self._taken_at = max(self._taken_at, self._loop.time() + self._member.disk.lag + busy)
        self._later(self._taken_at - self._loop.time(), super().give, outputs)

    def _later(self, delay: float, put: Callable[[Any], None], what: list[Any]) -> None:
        if delay > 0:
            self._loop.call_later(delay, put, what)
        else:
            put(what)

    def _drain(self) -> None:
        thaw = self._member.frozen_until
        if thaw > self._loop.time():
            self._loop.call_at(thaw, self._drain)
        else:
            super()._drain()


class SimulatedLinks:
    """In place of raft.transport.links.Links. Whether the other end answers is found out now and then."""

    def __init__(
        self,
        own: Peer,
        _credentials: object,
        post: Callable[[Event], None],
        _moved: Callable[[], None],
        removed: Callable[[], None],
    ) -> None:
        self.member = RUNNING.get()
        self.member.links = self
        self.up: dict[str, int] = {}
        """Those that answer, and in which life."""
        self._own = own
        self._post = post
        self._removed = removed
        self._wanted: dict[str, Peer] = {}
        self._closed = False

    def follow(self, configuration: Configuration) -> None:
        self._wanted = dict(configuration.peers)
        self._wanted.pop(self._own.node_id, None)
        self.look()

    def look(self) -> None:
        """Connects to whom it can, and notices who is gone."""
        for node_id in sorted(self.up.keys() | self._wanted.keys()):
            life = self._life(node_id)
            if self.up.get(node_id) != life:
                if self.up.pop(node_id, None) is not None:
                    self._post(Disconnected(node_id))
                if life is not None:
                    self.up[node_id] = life
                    self._post(Connected(node_id))

    def _life(self, node_id: str) -> int | None:
        """None for who cannot be reached or does not want us."""
        peer, world = self._wanted.get(node_id), self.member.world
        other = world.members.get(node_id)
        if peer is None or other is None or not other.running or not world.connected(self.member.id, node_id):
            return None
        if self._own.incarnation in other.node.removed_members:
            self._removed()
            return None
        return other.life if other.node.own.incarnation == peer.incarnation else None

    def send(self, receiver: str, message: Message) -> None:
        if receiver in self.up:
            self.member.send(receiver, message)

    def reachable(self, node_id: str) -> bool:
        return node_id == self._own.node_id or node_id in self.up

    def connection(self, node_id: str) -> "tuple[Process, Process] | None":
        return (self.member, self.member.world.members[node_id]) if node_id in self.up else None

    def seen_at(self, node_id: str, addr: str) -> None:
        """Nobody moves."""

    def moved(self) -> list[Peer]:
        return []

    async def close(self) -> None:
        self._wanted.clear()
        self.up.clear()


class SimulatedServicer:
    """In place of raft.transport.servicer.Servicer."""

    def __init__(self, _host: object) -> None:
        self._member = RUNNING.get()

    def reply(self, receiver: str, message: Message) -> None:
        member = self._member
        other = member.world.members[receiver]
        if other.running and other.links.up.get(member.id) == member.life:
            member.send(receiver, message)

    def refuse_removed(self) -> None:
        """They find out when they look."""

    def close(self) -> None:
        """There is no stream to end."""


async def send_snapshot(
    connection: "tuple[Process, Process]", snapshot: Snapshot, term: int, _timeout: float
) -> pb.RaftSnapshotInstalled:
    """In place of raft.transport.snapshots.send_snapshot. May be cut short, come late, or come twice."""
    sender, receiver = connection
    world = sender.world
    parts = list(wire._parts(snapshot, term))
    if world.rng.random() < world.loss:
        world.count("snapshot cut short")
        parts.pop()
    await asyncio.sleep(world.rng.uniform(0.01, 0.5))
    receiver.snapshots.append((sender.id, parts))
    if world.rng.random() < world.doubling:
        world.loop.call_later(world.rng.uniform(0.1, 3), receiver.repeat_snapshot)
    task = receiver.install(sender.id, parts) if world.connected(sender.id, receiver.id) else None
    if task is None:
        raise ConnectionResetError("the stream ended")
    await asyncio.wait((task,), timeout=_INSTALL_SECONDS)
    if not task.done() or task.cancelled() or task.exception() is not None:
        raise ConnectionResetError("it was not taken")
    return task.result()


async def as_stream(parts: list[pb.RaftSnapshotPart]) -> AsyncIterator[pb.RaftSnapshotPart]:
    for part in parts:
        yield part
