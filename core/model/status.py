"""What is seen of objects: what nodes say of themselves and of their tasks, and how far updates and jobs have come.

Times are nanoseconds since the epoch, 0 where there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model.spec import Platform, PortConfig, Resources
from core.model.states import NodeState, Reachability, TaskState, UpdateState


@dataclass(frozen=True, slots=True)
class Plugin:
    type: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """What a node says of itself. Never trusted for anything but scheduling."""

    hostname: str = ""
    platform: Platform = field(default_factory=Platform)
    resources: Resources = field(default_factory=Resources)
    engine_version: str = ""
    engine_labels: Mapping[str, str] = field(default_factory=dict)
    plugins: tuple[Plugin, ...] = ()
    engine_error: str = ""
    """Why the node can run no tasks (its Docker Engine does not answer); empty when it can."""
    certificate_issuer: str = ""
    """SHA-256 (hex) of the DER of the root that signed the certificate it holds."""
    trust_root: str = ""
    """SHA-256 (hex) of the roots (PEM) that it trusts."""


@dataclass(frozen=True, slots=True)
class NodeStatus:
    state: NodeState = NodeState.UNKNOWN
    message: str = ""
    addr: str = ""
    """The address at which other nodes reach this one (no port)."""


@dataclass(frozen=True, slots=True)
class ManagerStatus:
    """A node's Raft membership. Only `addr` is stored; the rest is filled in when it is read."""

    addr: str = ""
    """host:port of its Raft and control server."""
    leader: bool = False
    reachability: Reachability = Reachability.UNKNOWN


@dataclass(frozen=True, slots=True)
class PortError:
    """A published port that one node cannot serve, because another program there holds it."""

    published_port: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class UpdateStatus:
    state: UpdateState = UpdateState.UNKNOWN
    started_at: int = 0
    completed_at: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class JobStatus:
    iteration: int = 0
    """Grows by one with each update of the job, which runs it again."""
    last_execution: int = 0


@dataclass(frozen=True, slots=True)
class ContainerStatus:
    container_id: str = ""
    pid: int = 0
    exit_code: int = 0
    address: str = ""
    """Its address on the node's local bridge, where the node's relay reaches it."""


@dataclass(frozen=True, slots=True)
class TaskStatus:
    timestamp: int = 0
    state: TaskState = TaskState.NEW
    message: str = ""
    err: str = ""
    container: ContainerStatus | None = None
    ports: tuple[PortConfig, ...] = ()
    """Host-mode ports as they were really published."""
    started_at: int = 0
    """When it began to run, by its node's clock like `timestamp` (ns); 0 if it never has."""
