"""What the guard decides about a message."""

from dataclasses import dataclass

from raft.messages import Message


@dataclass(frozen=True, slots=True)
class Deliver:
    """The engine may see this."""

    message: Message


@dataclass(frozen=True, slots=True)
class Reply:
    """Back to the sender, past the engine."""

    message: Message


@dataclass(frozen=True, slots=True)
class Campaign:
    """Stand for election now."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """Follow in this higher term, with no vote given and no leader known."""

    term: int


@dataclass(frozen=True, slots=True)
class Read:
    """The sender wants to know up to where it must have applied the log to answer reads."""

    round: int


@dataclass(frozen=True, slots=True)
class Readable:
    """The leader's answer to our request of that round, and to all before it."""

    round: int
    index: int


@dataclass(frozen=True, slots=True)
class Stop:
    """Something that cannot be: going on could lose a committed entry."""

    reason: str


Action = Deliver | Reply | Campaign | Adopt | Read | Readable | Stop
