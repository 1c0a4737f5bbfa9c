"""What the rest of the product sees of the log: plain types and two Protocols."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from core.clock import MILLISECOND, SECOND
from core.errors import InvalidArgument, PyswarmError

MAX_COMMAND = 1 << 20
"""Bytes in one command. Larger changes are split above."""
MAX_REQUEST_ID = 64
MAX_CHUNK = 2 << 20
"""Bytes in one chunk of a snapshot."""


class StateMachine(Protocol):
    """What the log drives, in log order, never two calls at once: on the event loop, but for what reads or writes a
    whole state."""

    def apply(self, index: int, request_id: bytes, command: bytes) -> None:
        """Must not raise: a member that cannot apply a committed command stops."""
        ...

    def freeze(self) -> Callable[[], Iterator[bytes]]:
        """The state as of the last `apply`: copies index tables only. The callable is run in a worker thread."""
        ...

    def thaw(self, index: int, chunks: Iterator[bytes]) -> Callable[[], None]:
        """Reads what `freeze` once yielded, chunk for chunk, and changes nothing: it is run in a worker thread. The
        callable, called on the event loop, puts it in the place of everything."""
        ...


@dataclass(frozen=True, slots=True)
class Leadership:
    term: int = 0
    leader_id: str = ""
    leader_addr: str = ""
    is_leader: bool = False
    """True only once this member has applied its whole log."""


@dataclass(frozen=True, slots=True)
class Member:
    node_id: str
    addr: str
    reachable: bool
    leader: bool
    learner: bool = False
    """Being brought up to date; does not count for the quorum yet."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in ns. The defaults suit a local network."""

    election_min: int = 400 * MILLISECOND
    election_max: int = 1000 * MILLISECOND
    heartbeat: int = 100 * MILLISECOND
    check_quorum: int = 2 * SECOND
    """A leader that a quorum has not answered for so long steps down."""
    answer: int = 150 * MILLISECOND
    """Who says nothing for so long after it was asked for its vote counts as unreachable."""
    request: int = 5 * SECOND
    """How long any one request is waited for, unless its caller says otherwise."""
    catch_up: int = 60 * SECOND
    """How long a joining member may take to be brought up to date."""
    snapshot_entries: int = 10_000
    """A snapshot is taken after so many entries, or `snapshot_bytes` of them."""
    snapshot_bytes: int = 64 << 20
    keep_entries: int = 500
    """Entries kept behind a snapshot for members that are a little late, unless these are too many bytes."""

    def __post_init__(self) -> None:
        if not 3 * self.heartbeat < self.election_min < self.election_max <= self.check_quorum:
            raise InvalidArgument("an election takes more than three heartbeats and less than the quorum's time")

    @property
    def lease(self) -> int:
        """For so long after a leader spoke to it, a member votes for nobody else, whatever happens."""
        return 2 * self.heartbeat

    @property
    def silence(self) -> int:
        """Who has not answered the leader for so long counts as unreachable: without a quorum nothing is proposed."""
        return self.check_quorum // 2


class Consensus(Protocol):
    """The narrow interface. Every wait has a time-out; errors are of core.errors."""

    @property
    def leadership(self) -> Leadership: ...

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """A leader hands its leadership over first."""
        ...

    async def propose(self, command: bytes, request_id: bytes) -> int:
        """The index of the log entry, once it is committed and applied here. `request_id` is applied only once, ever.

        NotLeader, NoQuorum, ShuttingDown, ResourceExhausted: not proposed. UnknownOutcome: it may still be applied.
        """
        ...

    async def read_barrier(self) -> None:
        """After it, what this member has applied includes every change acknowledged before the call.

        On any member: the leader is asked (ReadIndex). NotLeader if there is none, NoQuorum if a quorum does not
        answer, Unavailable if the leader does not.
        """
        ...

    @property
    def has_quorum(self) -> bool:
        """Whether enough managers can be reached, as far as this member knows just now."""
        ...

    def no_leader(self) -> PyswarmError:
        """Why nobody leads as far as this member knows: NoQuorum if it cannot reach enough others, or NotLeader."""
        ...

    def watch_leadership(self, callback: Callable[[Leadership], None]) -> Callable[[], None]:
        """Calls back on the loop at every change; returns what ends it."""
        ...

    def members(self) -> tuple[Member, ...]: ...

    async def add_member(self, node_id: str, addr: str, incarnation: int) -> None:
        """Leader only: adds a member whose process already serves `addr`; of a member, updates the address."""
        ...

    async def remove_member(self, node_id: str) -> None:
        """Leader only. FailedPrecondition if that would lose the quorum.

        A leader asked to remove itself hands over its leadership and raises NotLeader: the next one can do it.
        """
        ...

    async def transfer_leadership(self) -> None:
        """Leader only: to the member that is most up to date."""
        ...
