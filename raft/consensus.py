"""A member of the log as the manager knows it: the narrow interface over engine, storage and transport."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from random import Random
from typing import Any

from core.clock import SECOND
from core.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NotLeader,
    PyswarmError,
    ResourceExhausted,
    ShuttingDown,
    UnknownOutcome,
)
from core.logs import logger
from identity.credentials import Credentials
from proto import raft_pb2 as pb
from proto.raft_pb2_grpc import RaftServicer
from raft import codec
from raft.api import MAX_COMMAND, MAX_REQUEST_ID, Leadership, Member, StateMachine, Timing
from raft.applier import Applier
from raft.engine import events as ev
from raft.engine.engine import Engine
from raft.joining import join_cluster
from raft.members import Members
from raft.membership import Change, Configuration, Peer
from raft.messages import Message
from raft.proposals import Proposals
from raft.rotation import rotate_key
from raft.snapshots import Snapshots
from raft.standing import Standing
from raft.storage.snapshot import Snapshot
from raft.storage.state import State
from raft.thread import EngineThread, Mailbox
from raft.transport.links import Links
from raft.transport.servicer import Servicer

log = logger("raft")
_HAND_OVER_TIMEOUT = 3 * SECOND // 2
_MAX_BACKLOG = 32 << 20
"""Bytes that other members sent and the engine has not taken yet."""
_BACKLOG_POLL = 0.01


class RaftNode:
    """Made by raft.open_member. Everything is called on one event loop. Implements raft.api.Consensus."""

    def __init__(
        self, state: State, addr: str, credentials: Credentials, machine: StateMachine, timing: Timing
    ) -> None:
        owner = state.owner
        self.own = Peer(owner.node_id, addr, owner.incarnation)
        self.cluster_id = owner.cluster_id
        self.removed = asyncio.Event()
        """Set once the other members say that this one is none any more."""
        self._credentials = credentials
        self._timing = timing
        self._applier = Applier(machine)
        loop = asyncio.get_running_loop()
        self._mailbox = Mailbox(loop)
        self._mailbox.patience = timing.silence
        self._mailbox.stuck = self._loop_blocked
        self._engine = Engine(state, timing, self._mailbox, Random())
        self._thread = EngineThread(self._engine, loop, self._fail)
        self._links = Links(self.own, credentials, self._engine.post, self._moved, self._was_removed)
        self._standing = Standing(self.own, self._links.reachable, state.membership.current)
        self._proposals = Proposals(self._standing, self._applier, self._engine, timing)
        self._members = Members(self._standing, self._proposals, self._links, credentials, timing, self._spawn)
        self._servicer = Servicer(self)
        self._snapshots = Snapshots(state, self._applier, self._links, self._engine.post, self._spawn)
        self._watchers: list[Callable[[Leadership], None]] = []
        self._received = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[PyswarmError | None] = loop.create_future()

    # -- life

    @property
    def servicer(self) -> RaftServicer:
        """For the managers' gRPC server; to be served before `start`."""
        return self._servicer

    @property
    def joined(self) -> bool:
        """Whether this is a member, or was when it stopped. If not, `join` has yet to be called, or called again."""
        return self.own.node_id in self.configuration.peers

    @property
    def applied(self) -> int:
        """The index up to which the log is applied here."""
        return self._applier.index

    async def start(self) -> None:
        self._mailbox.open(self._send, self._take)
        self._links.follow(self.configuration)
        self._thread.start()

    async def stop(self) -> None:
        """A leader hands its leadership over first. Once it returns the disk is left alone."""
        standing = self._standing
        if standing.status.is_leader and standing.count_reachable() > 1:
            await self._hand_over()
        self._end(ShuttingDown())
        await self._thread.stop()
        self._mailbox.close()
        self._servicer.close()
        await self._links.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def ended(self) -> PyswarmError | None:
        """Returns when this member has stopped: with the reason if it had to, None if it was asked to."""
        return await asyncio.shield(self._ended)

    async def join(self, addr: str) -> tuple[Member, ...]:
        """Becomes a member of the log that the manager at `addr` belongs to; the members.

        This member must be started and served. Returns once it counts. FailedPrecondition if the leader cannot reach
        it, or if the node is a member already with another state; Unavailable if there is no leader to ask.
        """
        new = self.own.node_id not in self.configuration.voters  # after a restart, what is applied knows nobody yet
        asking = asyncio.create_task(join_cluster(self._credentials, addr, self.own, self._timing))
        asking.add_done_callback(lambda _: self._standing.notify())
        try:
            # Whoever was asked may die once it has let us in: then our log alone says so.
            await self._standing.until(lambda: asking.done() or (new and self._is_voter()), 2 * self._timing.catch_up)
            if asking.done():
                asking.result()
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await self._standing.until(self._is_voter, self._timing.request)
        return self.members()

    def _is_voter(self) -> bool:
        return self._members.is_voter(self.own.node_id)

    # -- the log

    @property
    def leadership(self) -> Leadership:
        return self._standing.leadership

    async def propose(self, command: bytes, request_id: bytes) -> int:
        if len(command) > MAX_COMMAND:
            raise ResourceExhausted(f"a change of {len(command)} bytes is larger than the {MAX_COMMAND} one may have")
        if not 0 < len(request_id) <= MAX_REQUEST_ID:
            raise InvalidArgument(f"a request id has 1 to {MAX_REQUEST_ID} bytes")
        self._standing.check_leader()
        return await self._proposals.propose(ev.Propose(request_id, codec.encode_proposal(request_id, command)))

    async def read_barrier(self) -> None:
        self._standing.check_running()
        if not self._standing.status.leader or self._standing.is_silent():
            raise self._standing.no_answer()
        await self._proposals.confirm_read()

    @property
    def has_quorum(self) -> bool:
        return self._standing.has_quorum()

    def no_leader(self) -> PyswarmError:
        standing = self._standing
        return standing.failure or (standing.no_leader() if standing.has_quorum() else standing.no_quorum())

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        self._watchers.append(callback)

        def unwatch() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        return unwatch

    async def transfer_leadership(self) -> None:
        self._standing.check_leader()
        if len(self.configuration.voters) < 2:
            raise FailedPrecondition("there is no other manager to lead")
        await self._hand_over()
        if self._standing.status.is_leader:
            raise FailedPrecondition("no other manager is up to date enough to lead; try again in a moment")

    async def rotate_key(self, unlock_key: bytes | None = None) -> None:
        """Draws a new data key, and returns once nothing on this member's disk is sealed with an earlier one.

        With `unlock_key` (32 bytes) the data key itself can be read only with that from now on: `open_member` then
        needs it. Empty, it lies in clear again; None, it stays as it is. UnknownOutcome: it goes on by itself, also
        after a restart. InvalidArgument for an unlock key of another length.
        """
        await rotate_key(unlock_key, self._standing, self._engine.post, self._timing)

    def set_snapshots(self, every: int, older: int = 0) -> None:
        """From now on one is taken after so many entries, in place of the timing's `snapshot_entries`, and so many of
        those whose place a later one has taken are kept, up to the next rotation of the data key."""
        self._engine.post(ev.SnapshotSettings(every, older))

    async def _hand_over(self) -> None:
        led = self._standing.status.term
        self._engine.post(ev.HandOver())
        try:
            await self._standing.until(
                lambda: bool(self._standing.status.leader) and self._standing.status.term > led, _HAND_OVER_TIMEOUT
            )
        except UnknownOutcome:
            log.info("no other manager took over in time")

    # -- members

    def members(self) -> tuple[Member, ...]:
        return self._members.list()

    async def add_member(self, node_id: str, addr: str, incarnation: int) -> None:
        await self._members.add(node_id, addr, incarnation)

    async def remove_member(self, node_id: str) -> None:
        if node_id == self.own.node_id:
            self._standing.check_leader()
            self._members.check_removable(node_id)
            await self.transfer_leadership()
            raise NotLeader(self.leadership.leader_addr)
        await self._members.remove(node_id)

    # -- from the engine

    def _send(self, receiver: str, message: Message) -> None:
        if codec.is_reply(message):
            self._servicer.reply(receiver, message)
        else:
            self._links.send(receiver, message)

    def _take(self, output: ev.Output) -> None:
        try:
            self._handle(output)
        except Exception as error:
            log.exception("this manager cannot apply what the others agreed on")
            self._fail(error)

    def _handle(self, output: ev.Output) -> None:
        match output:
            case ev.Written():
                self._proposals.written(output)
            case ev.Refused():
                self._proposals.refused(output)
            case ev.Committed():
                self._proposals.committed(output)
                if isinstance(output.body, Change):
                    self._agreed()
            case ev.AppliedTo():
                self._applier.index = output.index
                self._proposals.applied_to(output.index)
                self._announce()
            case ev.Restored():
                self._mailbox.hold()
                self._spawn(self._restore(output.snapshot))
            case ev.Freeze():
                self._snapshots.freeze(output)
            case ev.SendSnapshot():
                self._snapshots.send(output)
            case ev.Status():
                self._changed_status(output)
            case ev.Configured():
                self._standing.configuration = output.configuration
                self._links.follow(output.configuration)
                self._announce()
            case ev.CaughtUp():
                self._members.caught_up(output.node_id)
            case ev.Confirmed():
                self._proposals.confirmed(output.ticket)

    async def _restore(self, snapshot: Snapshot) -> None:
        """A whole state takes seconds to read; what comes after it waits, and nothing else does."""
        try:
            use = await asyncio.to_thread(self._applier.thaw, snapshot)
            use()
        except Exception as error:
            log.exception("this manager cannot use a snapshot")
            self._fail(error)
            return
        self._proposals.restored(snapshot.index)
        self._agreed()
        self._mailbox.release()

    def _changed_status(self, status: ev.Status) -> None:
        self._standing.status = status
        lost = not status.is_leader and self._standing.count_reachable() < self.configuration.quorum()
        if lost or self._standing.is_silent():
            self._proposals.quorum_lost()
        self._announce()

    def _agreed(self) -> None:
        self._standing.agreed = self._applier.configuration
        self._servicer.refuse_removed()
        self._announce()

    def _announce(self) -> None:
        status, before = self._standing.status, self.leadership
        leader = self.configuration.peers.get(status.leader)
        ready = status.is_leader and self._applier.index >= status.ready_at and self._standing.failure is None
        now = Leadership(status.term, status.leader, "" if leader is None else leader.addr, ready)
        self._standing.leadership = now
        self._standing.notify()
        if now == before:
            return
        if now.is_leader and not before.is_leader:
            self._members.record_addresses()
        for watcher in tuple(self._watchers):
            watcher(now)

    def _loop_blocked(self) -> None:
        """In the engine's thread. A leader whose loop stands still serves nobody: another shall lead."""
        log.warning("this manager's event loop has been blocked; if it leads it hands over")
        self._engine.post(ev.HandOver())

    # -- from the transport

    @property
    def configuration(self) -> Configuration:
        return self._standing.configuration

    @property
    def removed_members(self) -> frozenset[int]:
        return self._standing.agreed.removed

    def check_running(self) -> None:
        self._standing.check_running()

    async def received(self, sender: str, message: Message, size: int) -> None:
        self._received += size
        self._engine.post(ev.Received(sender, message, size))
        # A slow disk must not fill the memory: the sender is held up instead. Rare, so the engine need not tell us.
        while self._received - self._engine.taken > _MAX_BACKLOG and self._standing.failure is None:  # noqa: ASYNC110
            await asyncio.sleep(_BACKLOG_POLL)

    def seen_at(self, sender: str, addr: str) -> None:
        """Its own word is enough to try that address; once it answers there, the log learns of it."""
        self._links.seen_at(sender, addr)

    async def install(self, sender: str, parts: AsyncIterator[pb.RaftSnapshotPart]) -> pb.RaftSnapshotInstalled:
        return await self._snapshots.receive(sender, parts)

    def _moved(self) -> None:
        self._members.record_addresses()

    def _was_removed(self) -> None:
        if not self.removed.is_set():
            log.warning("this node was removed from the managers")
            self.removed.set()

    # -- the end

    def _fail(self, error: Exception) -> None:
        reason = error if isinstance(error, PyswarmError) else Internal(f"the log failed: {error!r}")
        log.error("this manager stops", reason=reason.message)
        self._engine.quit = True
        self._mailbox.close()
        self._standing.status = ev.Status(self._standing.status.term, "", False, 0)
        self._end(reason)
        self._servicer.close()
        self._spawn(self._links.close())

    def _end(self, reason: PyswarmError) -> None:
        if self._standing.failure is None:
            self._standing.failure = reason
            self._ended.set_result(None if isinstance(reason, ShuttingDown) else reason)
        self._proposals.end(reason)
        self._announce()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, PyswarmError):
            log.info("a change of the managers did not come about", reason=error.message)
        elif isinstance(error, Exception):
            self._fail(error)
