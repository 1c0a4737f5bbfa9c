"""What goes into the engine's thread and what comes out of it. Plain values: each side keeps its own."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from core.errors import PyswarmError
from raft.membership import Change, Configuration
from raft.messages import Entry, Message
from raft.storage.snapshot import Snapshot

# -- in


@dataclass(frozen=True, slots=True)
class Received:
    sender: str
    message: Message
    size: int = 0
    """Bytes on the wire."""


@dataclass(frozen=True, slots=True)
class Connected:
    node_id: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    node_id: str


@dataclass(frozen=True, slots=True)
class Propose:
    request_id: bytes
    command: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProposeChange:
    request_id: bytes
    change: Change


@dataclass(frozen=True, slots=True)
class Confirm:
    """Asks until when a read here would miss something that is acknowledged now."""

    ticket: int


@dataclass(frozen=True, slots=True)
class HandOver:
    """Asks for a transfer of the leadership."""


@dataclass(frozen=True, slots=True)
class SnapshotReady:
    """The state frozen at `index` is on disk under a temporary name. No path: it could not be written."""

    index: int
    path: Path | None


@dataclass(frozen=True, slots=True)
class SnapshotArrived:
    """The leader's snapshot is on disk here under a temporary name. `done` is told our term and next index."""

    sender: str
    term: int
    path: Path
    done: Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SnapshotSent:
    """A member has taken the snapshot we sent it. `next_index` 0: it has not."""

    node_id: str
    term: int
    next_index: int


@dataclass(frozen=True, slots=True)
class RotateKey:
    """Asks for a new data key, and with `unlock_key` for another lock on it. `done`: the old key is forgotten."""

    unlock_key: bytes | None
    done: Callable[[], None]


@dataclass(frozen=True, slots=True)
class SnapshotSettings:
    """From now on a snapshot is taken after so many entries, and so many older ones are kept."""

    entries: int
    older: int


@dataclass(frozen=True, slots=True)
class Quit:
    pass


Event = (
    Received
    | Connected
    | Disconnected
    | Propose
    | ProposeChange
    | Confirm
    | HandOver
    | SnapshotReady
    | SnapshotArrived
    | SnapshotSent
    | RotateKey
    | SnapshotSettings
    | Quit
)

# -- out


@dataclass(frozen=True, slots=True)
class Written:
    """A proposal stands in this leader's log."""

    request_id: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Refused:
    """A proposal does not, and will not."""

    request_id: bytes
    error: PyswarmError


@dataclass(frozen=True, slots=True)
class Committed:
    index: int
    request_id: bytes
    body: bytes | Change = field(repr=False)


@dataclass(frozen=True, slots=True)
class AppliedTo:
    """Everything up to `index` has been given out."""

    index: int


@dataclass(frozen=True, slots=True)
class Restored:
    """The whole state is replaced."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Freeze:
    """The state as it is now, after `entry`, is wanted as a snapshot."""

    entry: Entry
    prev_term: int
    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Status:
    term: int
    leader: str
    is_leader: bool
    ready_at: int
    """A leader's log is wholly applied once this index is."""
    silent: frozenset[str] = frozenset()
    """Whoever has not answered this leader for long."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The members changed, as the log has it: possibly not committed yet."""

    configuration: Configuration


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What has been given out so far includes everything that was acknowledged when `Confirm` was asked."""

    ticket: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """A learner holds everything that is committed."""

    node_id: str


@dataclass(frozen=True, slots=True)
class SendSnapshot:
    node_id: str
    term: int


Output = (
    Written
    | Refused
    | Committed
    | AppliedTo
    | Restored
    | Freeze
    | Status
    | Configured
    | Confirmed
    | CaughtUp
    | SendSnapshot
)


class Outbox(Protocol):
    """Takes what comes out, in order. Called in the engine's thread."""

    def send(self, messages: list[tuple[str, Message]]) -> None: ...

    def give(self, outputs: list[Output]) -> None: ...
