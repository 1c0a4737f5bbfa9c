"""What this member knows of the cluster and of itself just now, and the errors that follow from it. On the loop."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from core.clock import SECOND
from core.errors import NoQuorum, NotLeader, PyswarmError, Unavailable, UnknownOutcome
from raft.api import Leadership
from raft.engine.events import Status
from raft.membership import Configuration, Peer


@dataclass
class Standing:
    own: Peer
    linked: Callable[[str], bool]
    """Whether our stream to that member stands."""
    configuration: Configuration
    """As the log has it, committed or not: who is sent to and whose votes count."""
    agreed: Configuration = field(default_factory=Configuration)
    """As committed."""
    status: Status = field(default_factory=lambda: Status(0, "", False, 0))
    leadership: Leadership = field(default_factory=Leadership)
    failure: PyswarmError | None = None
    """Why this member has stopped."""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def notify(self) -> None:
        """Something of the above has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, condition: Callable[[], bool], timeout: int) -> None:
        """Raises UnknownOutcome after `timeout` ns, or what stopped this member."""
        try:
            async with asyncio.timeout(timeout / SECOND):
                while self.failure is None and not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise UnknownOutcome(f"it has not happened yet, and may still; {self.describe()}") from None
        self.check_running()

    def check_running(self) -> None:
        if self.failure is not None:
            raise self.failure

    def check_leader(self) -> None:
        """Raises what stopped this member, NotLeader or NoQuorum."""
        self.check_running()
        if not self.leadership.is_leader:
            raise self.no_leader()
        if self.is_silent():
            raise self.no_quorum()

    def is_silent(self) -> bool:
        """Whether this member leads, but has not been answered by a quorum for long."""
        return len(self.configuration.voters - self.status.silent) < self.configuration.quorum()

    def no_leader(self) -> PyswarmError:
        if not self.status.leader and self.count_reachable() < self.configuration.quorum():
            return self.no_quorum()
        return NotLeader("" if self.status.leader == self.own.node_id else self.leadership.leader_addr)

    def no_answer(self) -> PyswarmError:
        """Why a read was not answered in time."""
        self.check_running()
        if self.status.is_leader or self.count_reachable() < self.configuration.quorum():
            return self.no_quorum()
        if not self.status.leader:
            return self.no_leader()
        return Unavailable(f"the leader, {self.leadership.leader_addr}, does not answer; try again in a moment")

    def no_quorum(self) -> NoQuorum:
        return NoQuorum(self.count_reachable(), len(self.configuration.voters))

    def reachable(self, node_id: str) -> bool:
        return self.linked(node_id) and node_id not in self.status.silent

    def has_quorum(self) -> bool:
        """Streams that broke a moment ago say nothing about those that still answer a leader."""
        if self.status.is_leader:
            return not self.is_silent()
        return self.count_reachable() >= self.configuration.quorum()

    def count_reachable(self) -> int:
        return sum(map(self.reachable, self.configuration.voters))

    def describe(self) -> str:
        return f"{self.count_reachable()} of {len(self.configuration.voters)} managers can be reached"
