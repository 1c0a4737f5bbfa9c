"""The other members as the engine has them, kept in step with the log; and what the guard may see of this one."""

from raft.engine.core import Core
from raft.membership import Configuration
from raft.storage.state import State


class Peers:
    """Implements raft.guard.View."""

    def __init__(self, core: Core, state: State, own_id: str) -> None:
        self._core = core
        self._journal = state.journal
        self._membership = state.membership
        self._own_id = own_id
        self._linked: set[str] = set()
        self._voters = self._others(state.membership.current.voters)
        self._learners: frozenset[str] = frozenset()
        self._followed: Configuration | None = None
        self._reported = state.membership.current
        self.installing: set[str] = set()
        """Members that a snapshot is on its way to."""

    @property
    def term(self) -> int:
        return int(self._core.raftCurrentTerm)

    @property
    def is_leader(self) -> bool:
        return bool(self._core._isLeader())

    @property
    def leader(self) -> str:
        return self._core.leader_id

    @property
    def committed(self) -> int:
        return max(int(self._core.raftCommitIndex), int(self._core.raftLastApplied))

    @property
    def first_index(self) -> int:
        return self._journal.entries[0].idx

    @property
    def last_index(self) -> int:
        return self._journal.entries[-1].idx

    @property
    def voters(self) -> frozenset[str]:
        return self._membership.current.voters

    @property
    def learners(self) -> frozenset[str]:
        """Those the engine feeds: it forgets a read-only node whose stream breaks, and a late answer is nobody's."""
        return self._learners & self._linked

    def term_at(self, index: int) -> int | None:
        entry = self._journal.at(index)
        return None if entry is None else entry.term

    def linked(self, node_id: str) -> bool:
        return node_id in self._linked

    def other_voters(self) -> list[str]:
        return sorted(self._others(self.voters))

    def configuration_changed(self) -> bool:
        """Since it was asked last."""
        changed = self._reported is not self._membership.current
        self._reported = self._membership.current
        return changed

    def connect(self, node_id: str) -> None:
        self._linked.add(node_id)
        if node_id in self._voters or node_id in self._learners:
            self._core.connected(node_id, node_id in self._learners)

    def disconnect(self, node_id: str) -> None:
        self._linked.discard(node_id)
        self.installing.discard(node_id)
        if node_id in self._voters or node_id in self._learners:
            self._core.disconnected(node_id, node_id in self._learners)

    def follow(self) -> frozenset[str]:
        """Tells the engine of the members as the log now has them. Who is none any more."""
        now = self._membership.current
        if now is self._followed:
            return frozenset()
        self._followed = now
        voters, learners = self._others(now.voters), self._others(now.learners)
        for learner in sorted(self._learners - learners):
            self._core.disconnected(learner, learner=True)
        for voter in sorted(self._voters - voters):
            self._core.disconnected(voter, learner=False)
            self._core.remove_voter(voter)
        gone = (self._voters | self._learners) - voters - learners
        new_voters, new_learners = voters - self._voters, learners - self._learners
        self._voters, self._learners = voters, learners
        for new in sorted(new_voters):
            self._core.add_voter(new)
        for new in sorted((new_voters | new_learners) & self._linked):
            self._core.connected(new, new in learners)
        return gone

    def _others(self, members: frozenset[str]) -> frozenset[str]:
        return members - {self._own_id}
