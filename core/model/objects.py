"""What the store holds: objects, each with an id and a version.

Times are nanoseconds since the epoch, 0 where there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model.spec import (
    ClusterSpec,
    ConfigSpec,
    GenericResource,
    LogDriver,
    NodeSpec,
    PortConfig,
    SecretSpec,
    ServiceSpec,
    TaskSpec,
)
from core.model.states import Role, TaskState, UpdateOrder
from core.model.status import JobStatus, ManagerStatus, NodeDescription, NodeStatus, PortError, TaskStatus, UpdateStatus


@dataclass(frozen=True, slots=True)
class Meta:
    """Set by the store alone."""

    version: int = 0
    """The log index of the entry that last changed the object; a writer must name the one it read."""
    created_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    id: str = ""
    meta: Meta = field(default_factory=Meta)
    spec: NodeSpec = field(default_factory=NodeSpec)
    description: NodeDescription | None = None
    status: NodeStatus = field(default_factory=NodeStatus)
    role: Role = Role.WORKER
    """The role its current certificate carries."""
    manager: ManagerStatus | None = None
    certificate_expires_at: int = 0
    """When the last of all that it was ever given has expired: settings may have been changed to shorter ones since."""
    certificate_issuer: str = ""
    """SHA-256 (hex) of the DER of the root that signed the last certificate it was given."""
    port_errors: tuple[PortError, ...] = ()
    certificate_due: bool = False
    """It shall ask for a certificate of the new root now."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    ports: tuple[PortConfig, ...] = ()
    """The spec's ports with every automatic one filled in."""


@dataclass(frozen=True, slots=True)
class Rebalance:
    """A request to spread a service's tasks again, and how far it has come."""

    max_unavailable: int = 1
    """How many slots may be on the move, or not run for another reason, at a time."""
    order: UpdateOrder = UpdateOrder.STOP_FIRST
    """Whether a task stops as soon as the next is ready to start, or only when it runs."""
    started_at: int = 0
    progress_at: int = 0
    """When it began, or a task was moved last."""
    completed_at: int = 0
    moved: int = 0
    """How many tasks."""
    error: str = ""
    """Why it was given up; empty if it was not."""


@dataclass(frozen=True, slots=True)
class Service:
    id: str = ""
    meta: Meta = field(default_factory=Meta)
    spec: ServiceSpec = field(default_factory=ServiceSpec)
    spec_version: int = 1
    """Grows by one with every change of the spec, and with every other reason to update by it: each update has its own.
    (`meta.version` changes more often.)"""
    previous_spec: ServiceSpec | None = None
    endpoint: Endpoint = field(default_factory=Endpoint)
    update_status: UpdateStatus | None = None
    job_status: JobStatus | None = None
    """Of jobs only."""
    rebalance: Rebalance | None = None
    """The last one that was asked for."""
    error: str = ""
    """Why the allocator cannot serve it yet (no free port ...); empty when it can."""


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt to run a service's container in one slot on one node. Bound to its node for life, runs once."""

    id: str = ""
    meta: Meta = field(default_factory=Meta)
    service_id: str = ""
    service_name: str = ""
    slot: int = 0
    """From 1 for replicated services and jobs; 0 for global ones, where the node is the slot."""
    node_id: str = ""
    spec: TaskSpec = field(default_factory=TaskSpec, metadata={"shared": True})
    """Shared by all tasks of one (service, spec version), in memory, in the log and on the wire."""
    spec_version: int = 1
    ports: tuple[PortConfig, ...] = ()
    """The service's allocated endpoint ports when the task was made."""
    status: TaskStatus = field(default_factory=TaskStatus)
    desired_state: TaskState = TaskState.RUNNING
    job_iteration: int | None = None
    """Of jobs' tasks only: which run of the job it belongs to."""
    generic: tuple[GenericResource, ...] = ()
    """The generic resources that the scheduler has handed out to it."""
    log_driver: LogDriver | None = None
    """The cluster's, if the service names none."""

    @property
    def shown_slot(self) -> int:
        """As Docker counts: the slots of a replicated job from 0."""
        return self.slot - 1 if self.job_iteration is not None and self.slot else self.slot

    @property
    def place(self) -> str:
        """The slot as Docker names it: of a global service, and of a job's first slot, by the node."""
        return str(self.shown_slot or self.node_id)

    @property
    def name(self) -> str:
        """service.slot.id, as Docker names tasks and their containers."""
        return f"{self.service_name}.{self.place}.{self.id}"


@dataclass(frozen=True, slots=True)
class RootRotation:
    """The root that takes the place of the cluster's."""

    cert: bytes = b""
    """PEM."""
    key: bytes = field(default=b"", repr=False)
    cross_signed: bytes = b""
    """PEM: the new root's name and key, signed by the old one. Who trusts only that believes the new one's leaves."""
    passed_over: tuple[str, ...] = ()
    """Fingerprints of the roots that this one took the place of on the way, if any."""


@dataclass(frozen=True, slots=True)
class RootCA:
    cert: bytes = b""
    """PEM."""
    key: bytes = field(default=b"", repr=False)
    """PEM; never leaves the managers."""
    worker_token: str = field(default="", repr=False)
    manager_token: str = field(default="", repr=False)
    rotation: RootRotation | None = None
    """While nodes still hold certificates of `cert`."""


@dataclass(frozen=True, slots=True)
class Cluster:
    id: str = ""
    meta: Meta = field(default_factory=Meta)
    spec: ClusterSpec = field(default_factory=ClusterSpec)
    root_ca: RootCA = field(default_factory=RootCA)
    removed_nodes: Mapping[str, int] = field(default_factory=dict)
    """Nodes whose certificates are refused, and until when (their expiry plus 7 days)."""
    unlock_key: bytes = field(default=b"", repr=False)
    """32 bytes with which managers lock their keys on disk; empty if they do not. Never leaves the managers."""


@dataclass(frozen=True, slots=True)
class Secret:
    """One version of a secret's data, which never changes.

    The newest bears the name; a service names the version that it uses.
    """

    id: str = ""
    meta: Meta = field(default_factory=Meta)
    spec: SecretSpec = field(default_factory=SecretSpec)
    revision: int = 1
    """Grows by one with each new version of the data."""
    superseded_by: str = ""
    """The id of the next version, if there is one: this one stays while a service, or its previous spec, uses it."""


@dataclass(frozen=True, slots=True)
class Config:
    """One version of a config's data; like a secret, but readable."""

    id: str = ""
    meta: Meta = field(default_factory=Meta)
    spec: ConfigSpec = field(default_factory=ConfigSpec)
    revision: int = 1
    superseded_by: str = ""


StoreObject = Cluster | Node | Service | Task | Secret | Config
