"""A simulated world of members: one seeded source of chance, one clock, links that lose, double and reorder messages,
disks that forget what was not synced. All but threads, sockets and gRPC is the product's own.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from core.clock import MILLISECOND, SECOND
from core.errors import PyswarmError
from raft.api import Timing
from tests.support.raft_sim.loop import SimulatedLoop
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.seams import RUNNING
from tests.support.raft_sim.truth import Truth

TIMING = Timing(
    election_min=400 * MILLISECOND,
    election_max=1000 * MILLISECOND,
    snapshot_entries=40,
    snapshot_bytes=50_000,
    keep_entries=5,
)
_LOOK_SECONDS = 0.4


class World:
    def __init__(self, seed: int, folder: Path, timing: Timing = TIMING) -> None:
        self.rng = Random(seed)
        self.loop = SimulatedLoop(self.rng)  # type: ignore[abstract]  # the product uses no more of a loop
        self.folder = folder
        self.timing = timing
        self.loss = self.doubling = self.loop_lag = self.crash_in_compaction = 0.0
        self.delay = 0.005
        self.delays: dict[tuple[str, str], float] = {}
        """Of links that are slower than the others."""
        self.wall = 1_700_000_000
        """The wall clock, which may jump: seconds."""
        self.cut: dict[tuple[str, str], bool] = {}
        """One way each, and whether anybody notices."""
        self.held: dict[tuple[str, str], list[Callable[[], None]]] = {}
        """Links that keep their messages until they are released."""
        self.sent: Counter[tuple[str, str]] = Counter()
        """Messages on each link."""
        self.members: dict[str, Member] = {}
        self.faults: Counter[str] = Counter()
        self.rules: Counter[str] = Counter()
        self.acked: list[int] = []
        """The values of a scenario whose writer was told that they are done."""
        self.stopped: list[PyswarmError] = []
        """Why members stopped by themselves."""
        self.events = 0
        """Messages sent, requests made and faults."""
        self.truth = Truth(self.loop.fail)
        self._latest: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._requests = itertools.count(1)

    def count(self, what: str) -> None:
        self.faults[what] += 1
        self.events += 1

    # -- time

    def run(self, seconds: float) -> None:
        self.loop.run(seconds)

    def run_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        """Fails unless it holds within so many simulated seconds."""
        end = self.loop.now + seconds
        while not condition():
            assert self.loop.now < end, f"{what}: not within {seconds} simulated seconds"
            self.run(0.05)

    def clock(self) -> float:
        """The monotonic clock of the process that is running: each begins elsewhere."""
        member = RUNNING.get(None)
        return self.loop.now if member is None else self.loop.now + member.clock_offset + member.disk.lag

    def wall_clock(self) -> float:
        return self.wall + self.loop.now

    def wall_clock_ns(self) -> int:
        return int(self.wall_clock() * SECOND)

    # -- members

    def join(self, number: int) -> None:
        """Adds a member and waits until it counts."""
        member = self.appear(number)
        if len(self.members) > 1:
            self.run_until(lambda: self.ask_to_join(member), 30, f"member {number} joins")

    def appear(self, number: int) -> Member:
        """A node with an empty log that nobody has added yet; the very first one is a cluster of its own."""
        member = Member(self, number, first=not self.members)
        self.members[member.id] = member
        self.watch(member)
        return member

    def ask_to_join(self, member: Member) -> bool:
        """Whether it counts already; else it asks the leader once more."""
        leader = self.leader()
        if leader is not None and member.id not in leader.node.configuration.peers:
            leader.spawn(leader.node.add_member(member.id, member.addr, member.node.own.incarnation))
        return leader is not None and leader.node._members.is_voter(member.id)

    def leader(self) -> Member | None:
        """Who takes proposals, as a client would find out."""
        leaders = [member for member in self.members.values() if member.running and member.node.leadership.is_leader]
        return max(leaders, key=lambda member: member.node.leadership.term, default=None)

    def await_leader(self) -> Member:
        self.run_until(lambda: self.leader() is not None, 10, "a leader")
        leader = self.leader()
        assert leader is not None
        return leader

    def notice(self) -> None:
        """All see at once whom they can reach, as when kernels reset their streams."""
        for member in self.members.values():
            if member.running:
                member.look()

    def watch(self, member: Member) -> None:
        """From now on it looks now and then whom it can reach."""
        if member.running and member.frozen_until <= self.loop.now:
            member.look()
        self.loop.call_later(self.rng.uniform(0.01, _LOOK_SECONDS), self.watch, member)

    # -- the network

    def connected(self, a: str, b: str) -> bool:
        return not self.cut.get((a, b)) and not self.cut.get((b, a))

    def latency(self, link: tuple[str, str] | None = None) -> float:
        return self.rng.uniform(0.0005, self.delays.get(link, self.delay) if link else self.delay)

    def carry(self, sender: str, receiver: str, wire: Any) -> None:
        self.events += 1
        self.sent[sender, receiver] += 1
        member = self.members[receiver]
        life = member.life

        def deliver() -> None:
            if member.running and member.life == life and (sender, receiver) not in self.cut:
                member.deliver(sender, wire)

        if (sender, receiver) in self.held:
            self.held[sender, receiver].append(deliver)
            return
        copies = 1 - (self.rng.random() < self.loss) + (self.rng.random() < self.doubling)
        self.faults["lost"] += copies == 0
        self.faults["doubled"] += copies == 2
        for _ in range(copies):
            at = self.loop.now + self.latency((sender, receiver))
            self.faults["reordered"] += at < self._latest[sender, receiver]
            self._latest[sender, receiver] = max(at, self._latest[sender, receiver])
            self.loop.call_at(at, deliver, context=member.context)

    def partition(self, a: str, b: str, both: bool, noticed: bool = True) -> None:
        self.cut[a, b] = noticed
        if both:
            self.cut[b, a] = noticed

    def heal(self) -> None:
        self.cut.clear()

    # -- requests

    def request_id(self) -> bytes:
        return b"request %d" % next(self._requests)
