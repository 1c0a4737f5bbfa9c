"""What the daemon was started with."""

from dataclasses import dataclass
from pathlib import Path

from core.model import GenericResource


@dataclass(frozen=True)
class DaemonConfig:
    state_dir: Path
    socket: Path
    engine: str
    listen_addr: str
    """Where a manager listens; empty: as `init` or `join` said."""
    metrics_addr: str
    """host:port for Prometheus; empty turns it off."""
    log_format: str
    log_level: str
    generic_resources: tuple[GenericResource, ...] = ()
    """What the node has for tasks to reserve, beside what its engine says."""
