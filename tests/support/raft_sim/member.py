"""Our member as a scenario sees it: what it says of itself, and what it can be made to do."""

from typing import TYPE_CHECKING

from core.clock import SECOND
from core.ids import base36
from raft.engine.events import HandOver, ProposeChange, Status
from raft.membership import Change, Peer
from tests.support.raft_sim.machine import append
from tests.support.raft_sim.process import Process

if TYPE_CHECKING:
    from tests.support.raft_sim.world import World


class Member(Process):
    @classmethod
    def found(cls, world: "World", size: int) -> None:
        for number in range(1, size + 1):
            world.join(number)

    @property
    def leads(self) -> bool:
        return self.running and self.thread.engine._core._isLeader()

    @property
    def status(self) -> Status:
        return self.node._standing.status

    @property
    def term(self) -> int:
        return self.thread.engine._peers.term

    @property
    def holds_lease(self) -> bool:
        """Whether it would answer a read without asking anybody."""
        now = self.context.run(self.world.clock)
        return self.leads and now * SECOND < self.thread.engine.lease_until

    @property
    def values(self) -> list[int]:
        return self.machine.values

    @property
    def members_in_force(self) -> int:
        return len(self.thread.engine._state.membership.current.peers)

    def stand(self, *, at_once: bool = False) -> None:
        """Its patience ends. `at_once`: as if the leader itself had asked it to."""
        self.thread.engine._core.election_deadline = 0
        self.thread.engine._elections.campaign = at_once
        self.thread.wake()

    def propose(self, value: int) -> None:
        async def asked() -> None:
            request_id = b"value %d" % value
            index = await self.node.propose(append(0, value), request_id)
            self.world.truth.acknowledged(request_id, index)
            self.world.acked.append(value)

        self.spawn(asked())

    def hand_over(self) -> None:
        self.thread.post(HandOver())

    def compact(self) -> None:
        self.thread.engine._core.forceLogCompaction()
        self.thread.wake()

    def fail_in_compaction(self) -> None:
        """The process ends when the snapshot is in its place and the log still long."""
        self.world.crash_in_compaction = 1.0
        self.compact()

    def add_at_once(self, numbers: list[int]) -> None:
        for number in numbers:
            peer = Peer(base36(number, 25), "new:2377", number, learner=True)
            self.thread.post(ProposeChange(b"add %d" % number, Change(peer)))

    def stumble(self) -> None:
        """The next command is applied, and then something fails in the process."""
        self.machine.stumbles = True
