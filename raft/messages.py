"""The messages of the algorithm, and the log's entries. Pure. The receiver has already made sure who the sender is."""

from dataclasses import dataclass
from typing import NamedTuple

NOOP = b"\x01"
"""The engine's mark for a new leader's first entry."""
REGULAR = b"\x00"
"""The engine's mark before every other command."""


class Entry(NamedTuple):
    """In the engine's own order, so that it takes ours as they are."""

    command: bytes
    idx: int
    term: int

    def __repr__(self) -> str:
        """Without the command: it may hold keys and tokens."""
        return f"Entry({len(self.command)} bytes, idx={self.idx}, term={self.term})"


FIRST = Entry(NOOP, 1, 0)
"""Every log begins with it."""


@dataclass(frozen=True, slots=True)
class Message:
    term: int
    """The sender's when it sent."""


@dataclass(frozen=True, slots=True)
class Append(Message):
    prev_index: int
    prev_term: int
    commit_index: int
    entries: tuple[Entry, ...]
    sent: int = 0
    """The leader's own clock, ns."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return sum(len(entry.command) for entry in self.entries)


@dataclass(frozen=True, slots=True)
class AppendReply(Message):
    next_index: int
    success: bool
    reset: bool
    sent: int = 0
    """That of the message it answers."""


@dataclass(frozen=True, slots=True)
class Heartbeat(Message):
    """In place of Append while a snapshot is on its way to the follower."""

    commit_index: int
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Install(Message):
    """A snapshot from the leader has arrived here whole; never travels itself."""

    index: int
    last_term: int


@dataclass(frozen=True, slots=True)
class VoteRequest(Message):
    last_index: int
    last_term: int
    transfer: bool = False
    """The leader itself asked for this election."""


@dataclass(frozen=True, slots=True)
class VoteReply(Message):
    """A vote. There is no refusal: silence is one."""


@dataclass(frozen=True, slots=True)
class PreVoteRequest(Message):
    last_index: int
    last_term: int
    round: int


@dataclass(frozen=True, slots=True)
class PreVoteReply(Message):
    round: int
    granted: bool


@dataclass(frozen=True, slots=True)
class TimeoutNow(Message):
    """The leader asks the receiver to stand for election at once."""


@dataclass(frozen=True, slots=True)
class StaleTerm(Message):
    """The answer to a message of an older term."""


@dataclass(frozen=True, slots=True)
class ReadRequest(Message):
    """A member asks its leader up to where it must have applied the log to answer reads."""

    round: int
    """Rises with each request of a member."""


@dataclass(frozen=True, slots=True)
class ReadReply(Message):
    """The receiver of the request led when it came, and nothing beyond `index` had been acknowledged then."""

    round: int
    index: int
