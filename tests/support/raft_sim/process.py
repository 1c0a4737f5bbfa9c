"""One node's disk, and the process that runs on it now and then: the product's own RaftNode."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, TypeVar

from core.errors import PyswarmError, Unavailable, UnknownOutcome
from core.ids import base36
from proto import raft_pb2 as pb
from raft import codec
from raft.consensus import RaftNode
from raft.engine.events import Received
from raft.messages import Message
from raft.storage import state as storage
from raft.storage.errors import StorageFailed
from tests.support.raft_sim.disk import Crash, Disk
from tests.support.raft_sim.machine import Lists
from tests.support.raft_sim.seams import RUNNING, SimulatedLinks, SimulatedThread, as_stream

if TYPE_CHECKING:
    from tests.support.raft_sim.world import World

CLUSTER = base36(7, 25)
_AWAY = 1e6
Answer = TypeVar("Answer")


class InOrder(dict["asyncio.Task[Any]", None]):
    """A set of tasks in the order in which they came. Where objects lie in memory must not matter."""

    def add(self, task: "asyncio.Task[Any]") -> None:
        self[task] = None

    def discard(self, task: "asyncio.Task[Any]") -> None:
        self.pop(task, None)


class NotReached(Unavailable):
    """The request never came to the member."""


class Process:
    node: RaftNode
    thread: SimulatedThread
    links: SimulatedLinks
    machine: Lists

    def __init__(self, world: "World", number: int, first: bool) -> None:
        self.world = world
        self.id = base36(number, 25)
        self.addr = f"{self.id}:2377"
        self.life = 0
        self.running = False
        self.frozen_until = 0.0
        self.loop_lag = 0.0
        """Seconds that its event loop is late."""
        self.may_stand = True
        """Whether it may stand for election: a scenario says who leads."""
        self.snapshots: list[tuple[str, list[pb.RaftSnapshotPart]]] = []
        """Those that came to this process, and from whom."""
        self.disk = Disk(world.folder / self.id, world.rng, world.count)
        self.context = copy_context()
        self._led = 0
        self._tasks = InOrder()
        made = storage.create(self.disk.folder, CLUSTER, self.id, self.addr if first else None, lambda _: None)
        made.journal.close()
        self.start()

    # -- life

    def start(self) -> None:
        self.life += 1
        self.frozen_until = 0.0
        self.disk.start()
        self.snapshots.clear()
        self.clock_offset = self.world.rng.uniform(0, 1e5)
        self.machine = Lists(self.world.truth.applied, self.world.count)
        self.context = copy_context()
        self.context.run(RUNNING.set, self)
        try:
            self.node = self.context.run(self._open)
        except (Crash, StorageFailed):
            return
        self.running = True
        self.spawn(self.node.start())
        self.spawn(self._until_ended())

    def _open(self) -> RaftNode:
        state = storage.load(self.disk.folder, CLUSTER, self.id, self.disk.sync)
        node = RaftNode(state, self.addr, None, self.machine, self.world.timing)  # type: ignore[arg-type]
        node._tasks = InOrder()  # type: ignore[assignment]
        return node

    async def _until_ended(self) -> None:
        reason = await self.node.ended()
        if reason is not None:
            self.world.count("stopped by its disk" if isinstance(reason, StorageFailed) else "stopped")
            self.world.stopped.append(reason)
        self.crash()

    async def stop(self) -> None:
        """As on SIGTERM."""
        await self.node.stop()

    def crash(self) -> None:
        """The process is gone, and all that it was doing."""
        if not self.running:
            return
        self.running = False
        self.world.rules.update(self.thread.engine.guard.fired)
        self.node._mailbox.close()
        self.thread.end()
        for task in [*self.node._tasks, *self._tasks]:
            task.cancel()

    def freeze(self, seconds: float) -> None:
        """As by SIGSTOP."""
        self.frozen_until = max(self.frozen_until, self.world.loop.now + seconds)

    def spawn(self, work: Coroutine[Any, Any, Answer]) -> "asyncio.Task[Answer]":
        """Runs in this process, and ends with it."""
        task = self.world.loop.create_task(work, context=self.context)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PyswarmError):
            self.world.loop.fail(error)

    # -- turns

    def before_turn(self) -> None:
        if not self.may_stand:
            self.thread.engine._core.election_deadline = self.world.clock() + _AWAY

    def turned(self) -> None:
        core = self.thread.engine._core
        if core._isLeader() and core.raftCurrentTerm != self._led:
            self._led = core.raftCurrentTerm
            self.world.truth.leads(self.id, self._led, core.log.journal)

    # -- the network

    def send(self, receiver: str, message: Message) -> None:
        self.world.carry(self.id, receiver, codec.encode_message(message))

    def deliver(self, sender: str, wire: pb.RaftMessage) -> None:
        self.thread.post(Received(sender, codec.decode_message(wire)))

    def look(self) -> None:
        self.links.look()

    def install(self, sender: str, parts: list[pb.RaftSnapshotPart]) -> "asyncio.Task[pb.RaftSnapshotInstalled] | None":
        return self.spawn(self._install(sender, parts)) if self.running else None

    async def _install(self, sender: str, parts: list[pb.RaftSnapshotPart]) -> pb.RaftSnapshotInstalled:
        return await self.node.install(sender, as_stream(parts))

    def repeat_snapshot(self, number: int = -1) -> None:
        """One that came already comes again."""
        if self.running and self.snapshots:
            self.world.count("snapshot repeated")
            self.install(*self.snapshots[number])

    # -- what clients ask

    async def ask(self, work: Callable[[RaftNode], Awaitable[Answer]]) -> Answer:
        """A call over the network. NotReached: it never came here. UnknownOutcome: no answer came back."""
        life = self.life
        await asyncio.sleep(self.world.latency())
        while self.frozen_until > self.world.loop.now:  # noqa: ASYNC110 - it may be frozen again
            await asyncio.sleep(self.frozen_until - self.world.loop.now)
        if not self.running or self.life != life:
            raise NotReached("nobody answers there")
        task = self.spawn(_awaited(work(self.node)))
        await asyncio.wait((task,))
        if task.cancelled():
            raise UnknownOutcome("the connection was lost")
        await asyncio.sleep(self.world.latency())
        return task.result()

    async def write(self, request_id: bytes, command: bytes) -> int:
        async def work(node: RaftNode) -> int:
            index = await node.propose(command, request_id)
            self.world.truth.acknowledged(request_id, index)
            return index

        return await self.ask(work)

    async def read(self, key: int) -> tuple[int, ...]:
        async def work(node: RaftNode) -> tuple[int, ...]:
            await node.read_barrier()
            return self.machine.read(key)

        return await self.ask(work)


async def _awaited(answer: Awaitable[Answer]) -> Answer:
    return await answer
