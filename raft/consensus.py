"""A member of the log as the manager knows it: the narrow interface over engine, storage and transport."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from random import Random
from typing import Any

from core.clock import SECOND
from core.errors import (
    FailedPrecondition,
    Internal,
    InvalidArgument,
    NoQuorum,
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
from raft.engine.core import clock
from raft.engine.engine import Engine
from raft.joining import join_cluster, probe
from raft.membership import Change, ChangePending, Configuration, Peer, check_join
from raft.messages import Message
from raft.snapshots import Snapshots
from raft.storage.state import State
from raft.thread import EngineThread, Mailbox
from raft.transport.links import Links
from raft.transport.servicer import Servicer
from raft.waiters import Waiters

log = logger("raft")
_STOP_WAIT = 1.5
_CHANGE_RETRY = 0.02


class RaftNode:
    """Made by raft.open. Everything is called on one event loop. Implements raft.api.Consensus."""

    def __init__(
        self, state: State, addr: str, credentials: Credentials, machine: StateMachine, timing: Timing
    ) -> None:
        owner = state.owner
        self.own = Peer(owner.node_id, addr, owner.incarnation)
        self.cluster_id = owner.cluster_id
        self.leadership = Leadership()
        self._credentials = credentials
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._mailbox = Mailbox(self._loop)
        self._engine = Engine(state, timing, self._mailbox, Random())
        self._thread = EngineThread(self._engine, self._loop, self._fail)
        self._applier = Applier(machine)
        self._waiters = Waiters()
        self._links = Links(self.own, credentials, self._engine.post, self._record_addresses, self._was_removed)
        self._servicer = Servicer(self)
        self._snapshots = Snapshots(state, self._applier, self._links, self._engine.post, self._spawn)
        self._configuration = state.membership.current
        self._status = ev.Status(0, "", False, 0)
        self._watchers: list[Callable[[Leadership], None]] = []
        self._tickets: dict[int, asyncio.Future[None]] = {}
        self._settled = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: PyswarmError | None = None
        self._ended: asyncio.Future[PyswarmError | None] = self._loop.create_future()
        self.removed = asyncio.Event()
        """Set once the other members say that this one is none any more."""

    # -- life

    @property
    def servicer(self) -> RaftServicer:
        """For the managers' gRPC server; to be served before `start`."""
        return self._servicer

    @property
    def joined(self) -> bool:
        """Whether this is a member, or was when it stopped. If not, `join` has yet to be called, or called again."""
        return self.own.node_id in self._configuration.peers

    @property
    def applied(self) -> int:
        """The index up to which the log is applied here."""
        return self._applier.index

    async def start(self) -> None:
        self._mailbox.open(self._send, self._take)
        self._links.follow(self._configuration)
        self._thread.start()

    async def stop(self) -> None:
        """A leader hands its leadership over first. Once it returns the disk is left alone."""
        if self._failure is None and self._status.is_leader and len(self._configuration.voters) > 1:
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
        await join_cluster(self._credentials, addr, self.own, self._timing)
        await self._until(lambda: self._is_voter(self.own.node_id), self._timing.request)
        return self.members()

    # -- the log

    async def propose(self, command: bytes, request_id: bytes) -> int:
        if len(command) > MAX_COMMAND:
            raise ResourceExhausted(
                f"a change of {len(command)} bytes is larger than the {MAX_COMMAND} that one may be"
            )
        if not 0 < len(request_id) <= MAX_REQUEST_ID:
            raise InvalidArgument(f"a request id has 1 to {MAX_REQUEST_ID} bytes")
        self._check_leader()
        encoded = codec.encode_proposal(request_id, command)
        return await self._propose(request_id, ev.Propose(request_id, encoded))

    async def read_barrier(self) -> None:
        self._check_leader()
        if clock() * SECOND < self._engine.lease_until:
            return
        ticket = secrets.randbits(63)
        proof = self._tickets[ticket] = self._loop.create_future()
        self._engine.post(ev.Confirm(ticket))
        try:
            async with asyncio.timeout(self._timing.check_quorum / SECOND):
                await proof
        except TimeoutError:
            self._check_leader()
            raise self._no_quorum() from None
        finally:
            del self._tickets[ticket]

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        self._watchers.append(callback)

        def unwatch() -> None:
            if callback in self._watchers:
                self._watchers.remove(callback)

        return unwatch

    # -- members

    def members(self) -> tuple[Member, ...]:
        return tuple(
            Member(
                peer.node_id,
                peer.addr,
                self._links.reachable(peer.node_id),
                peer.node_id == self._status.leader,
                peer.learner,
            )
            for peer in sorted(self._configuration.peers.values(), key=lambda peer: peer.node_id)
        )

    async def add_member(self, node_id: str, addr: str, incarnation: int) -> None:
        self._check_leader()
        peer = Peer(node_id, addr, incarnation, learner=True)
        check_join(self._configuration, peer)
        held = self._configuration.peers.get(node_id)
        if held is None or held.addr != addr:
            await probe(self._credentials, peer)
            await self._change(Change(peer if held is None else Peer(node_id, addr, incarnation, held.learner)))
        # Once it has caught up the leader makes it a full member, whoever that is by then.
        await self._until(lambda: self._is_voter(node_id), self._timing.catch_up)

    async def remove_member(self, node_id: str) -> None:
        self._check_leader()
        peer = self._configuration.peers.get(node_id)
        if peer is None:
            raise FailedPrecondition(f"node {node_id} is not a manager")
        self._check_quorum_without(node_id)
        if node_id == self.own.node_id:
            await self.transfer_leadership()
            raise NotLeader(self.leadership.leader_addr)
        await self._change(Change(peer, remove=True))

    async def transfer_leadership(self) -> None:
        self._check_leader()
        if len(self._configuration.voters) < 2:
            raise FailedPrecondition("there is no other manager to lead")
        await self._hand_over()
        if self._status.is_leader:
            raise FailedPrecondition("no other manager is up to date enough to lead; try again in a moment")

    def _check_quorum_without(self, node_id: str) -> None:
        remaining = self._configuration.voters - {node_id}
        if not remaining:
            raise FailedPrecondition(
                "the last manager cannot be removed; to give up the cluster have it leave by force"
            )
        reachable = sum(map(self._links.reachable, remaining))
        if reachable < len(remaining) // 2 + 1:
            raise FailedPrecondition(
                f"without {node_id} the cluster would lose its quorum: only {reachable} of the {len(remaining)} "
                f"remaining managers can be reached; bring them back first"
            )

    def _is_voter(self, node_id: str) -> bool:
        """For good: the entry that says so is committed."""
        return node_id in self._applier.configuration.voters

    async def _change(self, change: Change) -> None:
        """One at a time: waits for its turn."""
        deadline = self._loop.time() + self._timing.request / SECOND
        while True:
            request_id = secrets.token_bytes(16)
            try:
                await self._propose(request_id, ev.ProposeChange(request_id, change))
                return
            except ChangePending:
                if self._loop.time() > deadline:
                    raise
            await asyncio.sleep(_CHANGE_RETRY)

    # -- proposals

    def check_running(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _check_leader(self) -> None:
        self.check_running()
        if not self.leadership.is_leader:
            raise self._no_leader()

    def _no_leader(self) -> PyswarmError:
        if not self._status.leader and self._reachable() < self._configuration.quorum():
            return self._no_quorum()
        return NotLeader("" if self._status.leader == self.own.node_id else self.leadership.leader_addr)

    def _no_quorum(self) -> NoQuorum:
        return NoQuorum(self._reachable(), len(self._configuration.voters))

    def _reachable(self) -> int:
        return sum(map(self._links.reachable, self._configuration.voters))

    async def _propose(self, request_id: bytes, event: ev.Propose | ev.ProposeChange) -> int:
        applied = self._applier.index_of(request_id)
        if applied is not None:
            return applied
        future, new = self._waiters.add(request_id)
        if new:
            self._engine.post(event)
        try:
            async with asyncio.timeout(self._timing.request / SECOND):
                return await asyncio.shield(future)
        except TimeoutError:
            raise UnknownOutcome(
                f"this change was not confirmed in time and may still be made; {self._state()}"
            ) from None

    def _state(self) -> str:
        return f"{self._reachable()} of {len(self._configuration.voters)} managers can be reached"

    async def _hand_over(self) -> None:
        self._engine.post(ev.HandOver())
        led = self._status.term
        try:
            await self._until(lambda: bool(self._status.leader) and self._status.term > led, int(_STOP_WAIT * SECOND))
        except UnknownOutcome:
            log.info("no other manager took over in time")

    async def _until(self, condition: Callable[[], bool], timeout: int) -> None:
        """Raises UnknownOutcome after `timeout` ns, and what stopped this member."""
        try:
            async with asyncio.timeout(timeout / SECOND), self._settled:
                await self._settled.wait_for(lambda: self._failure is not None or condition())
        except TimeoutError:
            raise UnknownOutcome(f"it has not happened yet, and may still; {self._state()}") from None
        self.check_running()

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
            log.exception("this manager cannot apply what the others agreed on, and stops")
            self._fail(error)

    def _handle(self, output: ev.Output) -> None:
        match output:
            case ev.Written():
                self._waiters.written(output.request_id, output.index)
            case ev.Refused():
                error = self._no_leader() if isinstance(output.error, NotLeader) else output.error
                self._waiters.fail(output.request_id, error)
            case ev.Committed():
                self._waiters.resolve(output.request_id, self._applier.committed(output))
                if isinstance(output.body, Change):
                    self._members_agreed()
            case ev.AppliedTo():
                self._applied_to(output.index)
            case ev.Restored():
                self._applier.restore(output.snapshot)
                self._members_agreed()
                self._applied_to(output.snapshot.index)
            case ev.Freeze():
                self._snapshots.freeze(output)
            case ev.SendSnapshot():
                self._snapshots.send(output)
            case ev.Status():
                self._status = output
                self._changed()
            case ev.Configured():
                self._configured(output.configuration)
            case ev.CaughtUp():
                self._spawn(self._promote(output.node_id))
            case ev.Confirmed():
                proof = self._tickets.get(output.ticket)
                if proof is not None and not proof.done():
                    proof.set_result(None)

    def _applied_to(self, index: int) -> None:
        self._applier.index = index
        # What is still waited for there was overwritten by another leader, or came with a snapshot and is unknown.
        self._waiters.fail_written(index, UnknownOutcome)
        self._announce()

    def _changed(self) -> None:
        if not self._status.is_leader and self._reachable() < self._configuration.quorum():
            self._waiters.fail_all(
                lambda: UnknownOutcome(f"the quorum was lost before it was confirmed: {self._state()}")
            )
        self._announce()
        self._notify()

    def _configured(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._links.follow(configuration)
        self._announce()
        self._notify()

    def _members_agreed(self) -> None:
        self._servicer.refuse_removed()
        self._notify()

    def _announce(self) -> None:
        status = self._status
        leader = self._configuration.peers.get(status.leader)
        ready = status.is_leader and self._applier.index >= status.ready_at and self._failure is None
        addr = "" if leader is None else leader.addr
        leadership = Leadership(status.term, status.leader, addr, ready)
        if leadership != self.leadership:
            elected = leadership.is_leader and not self.leadership.is_leader
            self.leadership = leadership
            if elected:
                self._record_addresses()
            for watcher in tuple(self._watchers):
                watcher(leadership)

    def _notify(self) -> None:
        async def wake() -> None:
            async with self._settled:
                self._settled.notify_all()

        self._spawn(wake())

    async def _promote(self, node_id: str) -> None:
        peer = self._configuration.peers.get(node_id)
        if peer is not None and peer.learner:
            await self._change(Change(replace(peer, learner=False)))

    # -- from the transport

    @property
    def configuration(self) -> Configuration:
        return self._configuration

    @property
    def removed_members(self) -> frozenset[int]:
        return self._applier.configuration.removed

    def received(self, sender: str, message: Message) -> None:
        self._engine.post(ev.Received(sender, message))

    def seen_at(self, sender: str, addr: str) -> None:
        """Its own word is enough to try that address; once it answers there, the log learns of it."""
        self._links.seen_at(sender, addr)

    def _record_addresses(self) -> None:
        """The leader writes down where the members have moved to, itself included."""
        own = self._configuration.peers.get(self.own.node_id)
        if self.leadership.is_leader and own is not None:
            moved = self._links.moved()
            if own.addr != self.own.addr:
                moved.append(replace(own, addr=self.own.addr))
            for peer in moved:
                self._spawn(self._change(Change(peer)))

    async def install(self, sender: str, parts: AsyncIterator[pb.RaftSnapshotPart]) -> pb.RaftSnapshotInstalled:
        return await self._snapshots.receive(sender, parts)

    def _was_removed(self) -> None:
        if not self.removed.is_set():
            log.warning("this node was removed from the managers")
            self.removed.set()

    # -- the end

    def _fail(self, error: Exception) -> None:
        reason = error if isinstance(error, PyswarmError) else Internal(f"the log failed: {error!r}")
        log.error("this manager stops", reason=reason.message)
        self._status = ev.Status(self._status.term, "", False, 0)
        self._engine.quit = True
        self._end(reason)
        self._mailbox.close()
        self._servicer.close()
        self._spawn(self._links.close())

    def _end(self, reason: PyswarmError) -> None:
        if self._failure is None:
            self._failure = reason
        self._waiters.fail_all(lambda: ShuttingDown() if isinstance(reason, ShuttingDown) else UnknownOutcome())
        if not self._ended.done():
            self._ended.set_result(None if isinstance(reason, ShuttingDown) else reason)
        self._announce()
        self._notify()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            if isinstance(error, PyswarmError):
                log.info("did not come about", reason=error.message)
            else:
                self._fail(Internal(f"the log failed: {error!r}"))
