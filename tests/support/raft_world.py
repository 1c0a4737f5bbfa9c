"""A simulated world of members: one seeded source of chance, one clock, links that lose, double and reorder messages,
disks that forget what was not synced. Everything but threads and gRPC is the product's own.
"""

import heapq
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pysyncobj.syncobj

from core.clock import MILLISECOND, SECOND
from core.ids import base36
from raft import codec
from raft.api import Timing
from raft.applier import Applier
from raft.engine import events as ev
from raft.engine.engine import Engine
from raft.membership import Change, Peer
from raft.messages import Message
from raft.storage import state as storage
from raft.storage.snapshot import SnapshotWriter
from tests.support.managers import Notebook

CLUSTER = base36(7, 25)
TIMING = Timing(
    election_min=400 * MILLISECOND,
    election_max=1000 * MILLISECOND,
    snapshot_entries=40,
    snapshot_bytes=50_000,
    keep_entries=5,
)


class Crash(Exception):
    """The power fails just here."""


class Member:
    """One node's disk, and the process that runs on it now and then."""

    def __init__(self, world: "World", number: int, first: bool) -> None:
        self.world = world
        self.id = base36(number, 25)
        self.folder = world.folder / self.id
        self.addr = f"{self.id}:2377"
        self.engine: Engine | None = None
        self.life = 0
        self._wakes = 0
        self.paused_until = 0.0
        self.status = ev.Status(0, "", False, 0)
        made = storage.create(self.folder, CLUSTER, self.id, self.addr if first else None, lambda _: None)
        made.journal.close()
        self.configuration = made.membership.current
        self._snapshots = itertools.count(1)
        self.start()

    @property
    def peer(self) -> Peer:
        return Peer(self.id, self.addr, self.state.owner.incarnation)

    def start(self) -> None:
        self.life += 1
        self.notebook = Notebook()
        self.applier = Applier(self.notebook)
        self.acknowledging: set[bytes] = set()
        self.tickets: dict[int, int] = {}
        try:
            self.state = storage.load(self.folder, CLUSTER, self.id, self._sync)
        except Crash:
            return
        rng = Random(self.world.rng.random())
        self.engine = Engine(self.state, self.world.timing, _Outbox(self), rng, lambda: self.world.now)
        for other in self.world.members.values():
            if other is not self and self.world.connected(self.id, other.id):
                self.engine.post(ev.Connected(other.id))
        self.run()

    def crash(self) -> None:
        """What was not synced is lost, or half of it is."""
        if self.engine is None:
            return
        self.world.rules.update(self.engine.guard.fired)
        self.world.faults["crash"] += 1
        self.engine = None
        self.status = ev.Status(0, "", False, 0)
        journal = self.state.journal
        if journal._pending.records and self.world.rng.random() < 0.5:
            torn = journal._seal(journal._pending.SerializeToString())
            os.write(journal._descriptor, torn[: self.world.rng.randrange(len(torn))])
            self.world.faults["torn"] += 1
        journal.close()

    def post(self, event: ev.Event) -> None:
        if self.engine is not None:
            self.engine.post(event)
            if self.world.now >= self.paused_until:
                self.run()

    def run(self) -> None:
        if self.engine is None:
            return
        try:
            for _ in range(3):  # take the events, let the engine act on them, take what it left
                self.engine.step(block=False)
        except Crash:
            self.crash()
            return
        self.world.check_leader(self)
        self._wakes += 1
        self.world.at(max(self.engine.idle_for(), 0.001), self._wake, self._wakes)

    def _wake(self, number: int) -> None:
        if number == self._wakes and self.world.now >= self.paused_until:
            self.run()

    def _sync(self, descriptor: int) -> None:
        if self.world.rng.random() < self.world.crash_in_sync:
            self.world.faults["crash in sync"] += 1
            raise Crash

    def take(self, output: ev.Output) -> None:
        match output:
            case ev.Status():
                self.status = output
            case ev.Configured():
                self.configuration = output.configuration
            case ev.Committed():
                self.applier.committed(output)
                if output.request_id in self.acknowledging:
                    self.world.acknowledged(self, output.request_id)
            case ev.AppliedTo():
                self.applier.index = output.index
            case ev.Restored():
                self.applier.restore(output.snapshot)
                self.world.faults["restored"] += 1
            case ev.Freeze():
                self._freeze(output)
            case ev.SendSnapshot():
                self.world.send_snapshot(self, output)
            case ev.CaughtUp():
                self.promote(output.node_id)
            case ev.Confirmed():
                self.world.check_read(self, self.tickets.pop(output.ticket))

    def promote(self, node_id: str) -> None:
        learner = self.configuration.peers.get(node_id)
        if learner is not None and learner.learner:
            change = Change(Peer(learner.node_id, learner.addr, learner.incarnation))
            self.world.later(0.01, lambda: self.post(ev.ProposeChange(self.world.request_id(), change)))

    def _freeze(self, at: ev.Freeze) -> None:
        state, encode = self.applier.freeze(at)
        path, life = self.new_path(), self.life
        writer = SnapshotWriter(path, self.state.owner, self.state.keys.current, state)
        for chunk in encode():
            writer.write(chunk)
        writer.finish()
        self.world.faults["snapshot"] += 1
        self.world.at(self.world.rng.uniform(0, 0.3), self._frozen, life, at.entry.idx, path)

    def _frozen(self, life: int, index: int, path: Path) -> None:
        if life == self.life:
            self.post(ev.SnapshotReady(index, path))

    def new_path(self) -> Path:
        return self.folder / f"snapshot.{self.life}-{next(self._snapshots)}"


class _Outbox:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._life = member.life

    def send(self, messages: list[tuple[str, Message]]) -> None:
        for receiver, message in messages:
            self._member.world.carry(self._member.id, receiver, message)

    def give(self, outputs: list[ev.Output]) -> None:
        for output in outputs:
            self._member.take(output)


class World:
    def __init__(self, seed: int, folder: Path, timing: Timing = TIMING) -> None:
        self.rng = Random(seed)
        self.folder = folder
        self.timing = timing
        self.now = 1000.0
        self.loss = self.doubling = 0.0
        self.delay = 0.005
        self.crash_in_sync = 0.0
        self.cut: set[tuple[str, str]] = set()
        self.members: dict[str, Member] = {}
        self.faults: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.acked: list[bytes] = []
        self._leaders: dict[int, str] = {}
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._order = itertools.count()
        self._requests = itertools.count(1)

    # -- time

    def at(self, delay: float, action: Callable[..., None], *arguments: object) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._order), action, arguments))

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self.at(delay, action)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._events and self._events[0][0] <= end:
            self.now, _, action, arguments = heapq.heappop(self._events)
            action(*arguments)
        self.now = end

    def run_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Fails unless it holds within so many simulated seconds."""
        end = self.now + seconds
        while not condition():
            assert self.now < end, f"{what}: not within {seconds} simulated seconds"
            self.run(0.05)

    # -- members

    def join(self, number: int) -> None:
        """Adds a member and waits until it counts."""
        member = self.appear(number)
        if len(self.members) > 1:
            self.run_until(lambda: self.ask_to_join(member), 30, f"member {number} joins")

    def appear(self, number: int) -> Member:
        """A node with an empty log that nobody has added yet; the very first one is a cluster of its own."""
        member = Member(self, number, first=not self.members)
        for other in self.members.values():
            member.post(ev.Connected(other.id))
            other.post(ev.Connected(member.id))
        self.members[member.id] = member
        return member

    def ask_to_join(self, member: Member) -> bool:
        """Whether it counts already; else it asks the leader once more."""
        leader = self.leader()
        if leader is not None and member.id not in leader.configuration.peers:
            peer = Peer(member.id, member.addr, member.state.owner.incarnation, learner=True)
            leader.post(ev.ProposeChange(self.request_id(), Change(peer)))
        return member.id in member.applier.configuration.voters

    def leader(self) -> Member | None:
        """Who takes proposals, as a client would find out."""
        leaders = [m for m in self.members.values() if m.status.is_leader and m.applier.index >= m.status.ready_at]
        return max(leaders, key=lambda member: member.status.term, default=None)

    # -- the network

    def connected(self, a: str, b: str) -> bool:
        return (a, b) not in self.cut and (b, a) not in self.cut

    def carry(self, sender: str, receiver: str, message: Message) -> None:
        copies = 1 - (self.rng.random() < self.loss) + (self.rng.random() < self.doubling)
        self.faults["lost"] += copies == 0
        self.faults["doubled"] += copies == 2
        wire = codec.encode_message(message)
        for _ in range(copies):
            self.at(self.rng.uniform(0.0005, self.delay), self._deliver, sender, receiver, wire)

    def _deliver(self, sender: str, receiver: str, wire: object) -> None:
        member = self.members.get(receiver)
        if member is not None and (sender, receiver) not in self.cut:
            member.post(ev.Received(sender, codec.decode_message(wire)))  # type: ignore[arg-type]

    def send_snapshot(self, sender: Member, to: ev.SendSnapshot) -> None:
        self.at(self.rng.uniform(0.01, 0.5), self._install, sender, sender.life, to, sender.state.open_snapshot())

    def _install(self, sender: Member, life: int, to: ev.SendSnapshot, snapshot: storage.Snapshot) -> None:
        receiver = self.members.get(to.node_id)

        answered: list[int] = []

        def done(term: int, next_index: int) -> None:
            if life == sender.life and not answered:
                answered.append(next_index)
                self.later(0.005, lambda: sender.post(ev.SnapshotSent(to.node_id, term, next_index)))

        self.later(8, lambda: done(to.term, 0))  # a receiver that does not answer is given up, as by keep-alive

        if receiver is None or receiver.engine is None or not self.connected(sender.id, receiver.id):
            self.later(1.0, lambda: done(to.term, 0))
            return
        path = receiver.new_path()
        writer = SnapshotWriter(path, receiver.state.owner, receiver.state.keys.current, snapshot.state)
        for chunk in snapshot.chunks():
            writer.write(chunk)
        writer.finish()
        receiver.post(ev.SnapshotArrived(sender.id, to.term, path, done))

    def partition(self, a: str, b: str, both: bool) -> None:
        self.cut.add((a, b))
        if both:
            self.cut.add((b, a))
        for one, other in ((a, b), (b, a)):
            self.members[one].post(ev.Disconnected(other))

    def heal(self) -> None:
        healed, self.cut = self.cut, set()
        for a, b in healed:
            for one, other in ((a, b), (b, a)):
                if one in self.members and other in self.members:
                    self.members[one].post(ev.Connected(other))

    # -- clients

    def request_id(self) -> bytes:
        return b"request %d" % next(self._requests)

    def propose(self, member: Member, size: int = 20) -> bytes:
        request_id = self.request_id()
        member.acknowledging.add(request_id)
        command = request_id.ljust(size, b".")
        member.post(ev.Propose(request_id, codec.encode_proposal(request_id, command)))
        return command

    def read(self, member: Member) -> None:
        """By lease if there is one, else with proof: either way it must see everything acknowledged before."""
        if self.now * SECOND < member.engine.lease_until:  # type: ignore[union-attr]
            self.faults["read by lease"] += 1
            self.check_read(member, len(self.acked))
            return
        ticket = next(self._requests)
        member.tickets[ticket] = len(self.acked)
        member.post(ev.Confirm(ticket))

    # -- what must hold

    def acknowledged(self, member: Member, request_id: bytes) -> None:
        member.acknowledging.discard(request_id)
        self.acked.append(request_id)

    def check_leader(self, member: Member) -> None:
        if member.engine is not None and member.engine._core._isLeader():
            term = member.engine._core.raftCurrentTerm
            assert self._leaders.setdefault(term, member.id) == member.id, f"two leaders in term {term}"

    def check_read(self, member: Member, acked: int) -> None:
        self.faults["read"] += 1
        seen = {command.rstrip(b".") for command in member.notebook.commands}
        missing = [request for request in self.acked[:acked] if request not in seen]
        assert not missing, f"a read at {member.id} misses {missing[:3]} that were acknowledged before it began"

    def check_logs(self) -> None:
        """All agree, nothing acknowledged is lost, nothing is there twice."""
        logs = [member.notebook.applied for member in self.members.values()]
        longest = max(logs, key=len)
        for log in logs:
            assert log == longest[: len(log)], "two members applied different commands"
        commands = [command.rstrip(b".") for _, command in longest]
        assert len(commands) == len(set(commands)), "a request was applied twice"
        lost = set(self.acked) - set(commands)
        assert not lost, f"{len(lost)} acknowledged writes are lost: {sorted(lost)[:3]}"


@contextmanager
def simulated(seed: int, folder: Path, size: int, timing: Timing = TIMING) -> Iterator[World]:
    """A world of `size` members that have joined; the engine's clock and chance are the world's while it lasts."""
    engine = pysyncobj.syncobj
    held = engine.monotonicTime, engine.random
    world = World(seed, folder, timing)
    engine.monotonicTime, engine.random = (lambda: world.now), world.rng
    try:
        for number in range(1, size + 1):
            world.join(number)
        yield world
    finally:
        engine.monotonicTime, engine.random = held
