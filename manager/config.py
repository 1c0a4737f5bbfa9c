"""What a manager is started with."""

from dataclasses import dataclass, field
from pathlib import Path

from core.clock import MILLISECOND, SECOND
from core.model import Cluster, Node
from raft import Timing

TIMING = Timing(
    heartbeat=250 * MILLISECOND,
    election_min=1000 * MILLISECOND,
    election_max=1800 * MILLISECOND,
    check_quorum=3 * SECOND,
)
"""Longer than the log's own defaults: a manager shares its machine with an engine. While five engines started 50
containers on two cores, processes waited half a second for turn or disk, and leaders changed eight times. Four
heartbeats fit in an election: more of them cost an idle leader half of its processor time and find nothing sooner."""


@dataclass(frozen=True)
class ManagerConfig:
    folder: Path
    """Of its log."""
    addr: str
    """host:port at which other nodes reach it."""
    listen_host: str
    listen_port: int
    """The bootstrap server takes the next one."""
    log_keys: tuple[bytes, ...] = field(default=(b"",), repr=False)
    """One of these opens the log; a new one is locked with the first. Empty: it is not locked."""


@dataclass(frozen=True)
class Founding:
    """What a new cluster begins with."""

    cluster: Cluster
    node: Node
