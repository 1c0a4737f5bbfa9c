"""What scenarios are written with: the same words for our members and for the stock engine's."""

from raft.api import Timing
from tests.support.raft_sim.member import Member
from tests.support.raft_sim.truth import Violation
from tests.support.raft_sim.world import World

_APART = 0.05
_SOON = 0.25
"""Seconds: longer than a heartbeat and its answer."""


class Stage:
    def __init__(self, world: World) -> None:
        self.world = world
        self.members: list[Member] = list(world.members.values())

    @property
    def timing(self) -> Timing:
        return self.world.timing

    # -- who leads

    def elect(self, member: Member, at_once: bool = False) -> None:
        """Nobody else stands from now on; returns when it leads and its term's first entry had time to travel."""
        for each in self.members:
            each.may_stand = each is member
        self.world.run(self.timing.election_max / 1e9)  # whoever led before is waited for no more
        member.stand(at_once=at_once)
        self.world.run_until(lambda: member.leads, 10, "it is elected")
        self.world.run(_SOON)

    # -- the network

    def cut(self, one: Member, *others: Member) -> None:
        """Both ways; connections look alive all the same."""
        for other in others:
            self.world.partition(one.id, other.id, both=True, noticed=False)

    def cut_one_way(self, sender: Member, *receivers: Member) -> None:
        for receiver in receivers:
            self.world.partition(sender.id, receiver.id, both=False, noticed=False)

    def connect(self, one: Member, *others: Member) -> None:
        for other in others:
            self.world.cut.pop((one.id, other.id), None)
            self.world.cut.pop((other.id, one.id), None)

    def hold(self, sender: Member, receiver: Member) -> None:
        """Messages wait on that link from now on."""
        self.world.held[sender.id, receiver.id] = []

    def held(self, sender: Member, receiver: Member) -> int:
        return len(self.world.held[sender.id, receiver.id])

    def deliver(self, sender: Member, receiver: Member, start: int = 0, end: int | None = None) -> None:
        """Those from `start` to before `end`, in order. They stay: a later call delivers them once more."""
        for message in self.world.held[sender.id, receiver.id][start:end]:
            self.world.loop.call_soon(message, context=receiver.context)
        self.world.run(0.01)

    def slow(self, one: Member, other: Member, seconds: float) -> None:
        """Messages between them take up to so long, and overtake each other."""
        self.world.delays[one.id, other.id] = self.world.delays[other.id, one.id] = seconds

    def trickle(self, sender: Member, receiver: Member, seconds: float) -> None:
        """A slow link: messages arrive in order, a while apart."""
        self.hold(sender, receiver)
        waiting = self.world.held[sender.id, receiver.id]
        for _ in range(int(seconds / _APART)):
            if waiting:
                self.world.loop.call_soon(waiting.pop(0), context=receiver.context)
            self.world.run(_APART)

    # -- writes

    def write(self, member: Member, *values: int) -> None:
        """One after the other, each in a message of its own; whether it is acknowledged is another matter."""
        for value in values:
            member.propose(value)
            self.world.run(_SOON)

    def write_together(self, member: Member, *values: int) -> None:
        """All at once."""
        for value in values:
            member.propose(value)
        self.world.run(_SOON)

    def compact(self, member: Member) -> None:
        member.compact()
        self.world.run(1)

    # -- the verdict

    def settle(self, leader: Member) -> None:
        """All is well again, and that member leads; all have what it has."""
        self.world.cut.clear()
        self.world.held.clear()
        for member in self.members:
            if not member.running:
                member.start()
        self.elect(leader)
        self.world.run(3)

    def judge(self) -> None:
        """Raises Violation unless all members agree and hold what was acknowledged, once."""
        first, *others = [member.values for member in self.members]
        if any(values != first for values in others):
            raise Violation(f"state machines differ: {[member.values for member in self.members]}")
        if lost := sorted(set(self.world.acked) - set(first)):
            raise Violation(f"acknowledged writes {lost} are lost")
        if len(first) != len(set(first)):
            raise Violation(f"a write was applied twice: {first}")
