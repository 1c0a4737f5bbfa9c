"""Who belongs to the log. Pure.

The configuration is a function of the log: a change counts from the moment its entry is written (Ongaro's thesis, 4.1)
and is undone if the entry is. A restart reads it from the log again. One change at a time, and only after the leader
has committed an entry of its own term (Ongaro, "bug in single-server membership changes", 2015).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import FailedPrecondition, NotFound, PermissionDenied


@dataclass(frozen=True, slots=True)
class Peer:
    node_id: str
    addr: str
    incarnation: int
    """Drawn when this member began with an empty log. The same node with wiped state is another member."""
    learner: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    peer: Peer
    remove: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    peers: Mapping[str, Peer] = field(default_factory=dict)
    removed: frozenset[int] = frozenset()
    """Incarnations that were members once and never will be again."""

    voters: frozenset[str] = field(init=False)
    learners: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        learners = frozenset(peer.node_id for peer in self.peers.values() if peer.learner)
        object.__setattr__(self, "learners", learners)
        object.__setattr__(self, "voters", frozenset(self.peers) - learners)

    def quorum(self) -> int:
        return len(self.voters) // 2 + 1

    def after(self, change: Change) -> "Configuration":
        peers = dict(self.peers)
        removed = self.removed
        if change.remove:
            gone = peers.pop(change.peer.node_id, None)
            if gone is not None:
                removed = removed | {gone.incarnation}
        else:
            peers[change.peer.node_id] = change.peer
        return Configuration(peers, removed)


class ChangePending(FailedPrecondition):
    """One change at a time (S6)."""

    def __init__(self) -> None:
        super().__init__("another change of the managers is under way; try again in a moment")


class Membership:
    """The configuration at every point of the log that is still held."""

    def __init__(self, base: Configuration, index: int = 0) -> None:
        self._history: list[tuple[int, Configuration]] = [(index, base)]

    @property
    def current(self) -> Configuration:
        return self._history[-1][1]

    @property
    def base_index(self) -> int:
        """What was configured before this is forgotten."""
        return self._history[0][0]

    @property
    def changed_at(self) -> int:
        """The index of the latest change."""
        return self._history[-1][0]

    def at(self, index: int) -> Configuration:
        """As of the entry `index`, which must not lie before the base."""
        return next(configuration for since, configuration in reversed(self._history) if since <= index)

    def appended(self, index: int, change: Change) -> None:
        self._history.append((index, self.current.after(change)))

    def truncated(self, index: int) -> None:
        """The entry `index` and all after it are gone."""
        while len(self._history) > 1 and self._history[-1][0] >= index:
            self._history.pop()

    def compacted(self, index: int) -> None:
        """Nobody will ask for a configuration before `index` again."""
        while len(self._history) > 1 and self._history[1][0] <= index:
            del self._history[0]

    def restart(self, base: Configuration, index: int) -> None:
        """A snapshot that ends at `index` replaced the log."""
        self._history = [(index, base)]


def check_change(membership: Membership, change: Change, own_id: str, noop_index: int, committed: int) -> None:
    """What a leader asks itself before it writes a change. Raises why not.

    `noop_index` is that of the first entry of its term.
    """
    peer, now = change.peer, membership.current
    if committed < noop_index or membership.changed_at > committed:
        raise ChangePending
    if change.remove:
        if peer.node_id not in now.peers:
            raise NotFound(f"node {peer.node_id} is not a manager")
        if peer.node_id == own_id:
            raise FailedPrecondition("a leader does not remove itself; hand over its leadership first")
        if not now.after(change).voters:
            raise FailedPrecondition("the last manager cannot be removed")
        return
    check_join(now, peer)
    held = now.peers.get(peer.node_id)
    if held is not None and peer.learner and not held.learner:
        raise FailedPrecondition(f"node {peer.node_id} is a full member already")


def check_join(now: Configuration, peer: Peer) -> None:
    """Whether `peer` may be a member: raises why not."""
    if peer.incarnation in now.removed:
        raise PermissionDenied(
            f"node {peer.node_id} was removed from the managers and cannot come back with its old state; "
            f"delete its raft folder and promote it again"
        )
    held = now.peers.get(peer.node_id)
    if held is not None and held.incarnation != peer.incarnation:
        raise FailedPrecondition(
            f"node {peer.node_id} is a manager with another state: its own was lost; demote it, then promote it again"
        )
