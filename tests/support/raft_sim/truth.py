"""What must hold at every moment, checked as it happens."""

from collections.abc import Callable
from dataclasses import dataclass, field

from raft import codec
from raft.storage.journal import Journal
from tests.support.raft_sim.machine import Lists

_LOOKED_AT = 50
"""So many of the latest acknowledged writes are looked for in a new leader's log."""


class Violation(AssertionError):
    """The log broke a promise."""


@dataclass
class Truth:
    fail: Callable[[Violation], None]
    log: dict[int, bytes] = field(default_factory=dict)
    """The request that was applied at an index, by whoever came first."""
    acked: dict[bytes, int] = field(default_factory=dict)
    """Requests whose caller was told that they are done, and at which index."""
    refused: set[bytes] = field(default_factory=set)
    """Requests whose caller was told that nothing happened."""
    leaders: dict[int, str] = field(default_factory=dict)
    _indexes: dict[bytes, int] = field(default_factory=dict)

    def applied(self, machine: Lists, index: int, request_id: bytes) -> None:
        if self.log.setdefault(index, request_id) != request_id:
            self.fail(Violation(f"two members applied different commands at {index}"))
        if self._indexes.setdefault(request_id, index) != index:
            self.fail(Violation(f"{request_id!r} was applied at {self._indexes[request_id]} and again at {index}"))
        if len(machine.history) > 1 and machine.history[-2][0] >= index:
            self.fail(Violation(f"a member applied {index} after {machine.history[-2][0]}"))

    def acknowledged(self, request_id: bytes, index: int) -> None:
        if self.acked.setdefault(request_id, index) != index:
            self.fail(Violation(f"{request_id!r} was acknowledged as {self.acked[request_id]} and as {index}"))

    def leads(self, member_id: str, term: int, journal: Journal) -> None:
        """Called when a member sees itself as leader: all that was acknowledged is in its log."""
        first = self.leaders.setdefault(term, member_id)
        if first != member_id:
            self.fail(Violation(f"two leaders in term {term}"))
        for request_id, index in list(self.acked.items())[-_LOOKED_AT:]:
            entry = journal.at(index)
            covered = index <= journal.entries[0].idx  # the command of a log's first entry is gone with the snapshot
            if not covered and (entry is None or codec.decode_command(entry.command)[0] != request_id):
                self.fail(Violation(f"acknowledged write {index} is lost: the leader of term {term} lacks it"))

    def check_end(self, machines: list[Lists]) -> None:
        """All agree, nothing acknowledged is lost, nothing refused is there."""
        longest = max((machine.history for machine in machines), key=len)
        for machine in machines:
            if machine.history != longest[: len(machine.history)]:
                raise Violation("two state machines differ")
        there = {self.log.get(index) for index, _, _ in longest}
        lost = sorted(self.acked.keys() - there)
        if lost:
            raise Violation(f"{len(lost)} acknowledged writes are lost: {lost[:3]}")
        if refused := sorted(self.refused & there):
            raise Violation(f"{len(refused)} writes were refused and yet made: {refused[:3]}")
