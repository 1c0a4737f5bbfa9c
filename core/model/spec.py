"""What a user asks for: specs. Durations and times are whole nanoseconds, sizes are bytes, CPUs are nano-CPUs.

Every class is frozen: readers share instances without copying, and nobody mutates a mapping held by one.
`None` means "not given", so that an answer can show a spec as it was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model.container import ContainerSpec
from core.model.states import (
    Availability,
    EndpointMode,
    FailureAction,
    Protocol,
    PublishMode,
    RestartCondition,
    Role,
    ServiceMode,
    UpdateOrder,
)


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image or a node runs on. An empty field matches anything."""

    architecture: str = ""
    os: str = ""


@dataclass(frozen=True, slots=True)
class GenericResource:
    """Something countable that a node says it has. Named ones (`id`) are handed out one by one, others by number."""

    kind: str = ""
    id: str = ""
    value: int = 0
    """How many; 0 for a named one."""


@dataclass(frozen=True, slots=True)
class Resources:
    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[GenericResource, ...] = ()
    pids: int = 0
    """Limits only; 0 is without limit."""


@dataclass(frozen=True, slots=True)
class ResourceRequirements:
    limits: Resources | None = None
    reservations: Resources | None = None
    swap_bytes: int | None = None
    """Swap that a container may use beside its memory limit; -1 is without limit."""
    memory_swappiness: int | None = None


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    condition: RestartCondition = RestartCondition.ANY
    delay: int | None = None
    max_attempts: int = 0
    """0 is without limit."""
    window: int = 0
    """0 counts every restart."""


@dataclass(frozen=True, slots=True)
class Placement:
    constraints: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    preferences: tuple[str, ...] = ()
    """Labels (`node.labels.zone`) over whose values tasks are spread, the most important first."""
    max_replicas: int = 0
    """Per node; 0 is without limit."""


@dataclass(frozen=True, slots=True)
class LogDriver:
    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TaskSpec:
    container: ContainerSpec = field(default_factory=ContainerSpec)
    resources: ResourceRequirements | None = None
    restart: RestartPolicy | None = None
    placement: Placement | None = None
    force_update: int = 0
    runtime: str = ""
    log_driver: LogDriver | None = None
    service_labels: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The service's own, for templates to name. A task is not replaced because they change."""


@dataclass(frozen=True, slots=True)
class PortConfig:
    name: str = ""
    protocol: Protocol = Protocol.TCP
    target_port: int = 0
    published_port: int = 0
    """0 in a spec: the allocator picks one for ingress, the engine for host mode."""
    publish_mode: PublishMode = PublishMode.INGRESS


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    mode: EndpointMode = EndpointMode.VIP
    ports: tuple[PortConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateConfig:
    parallelism: int = 1
    """How many slots are replaced at a time; 0 is all."""
    delay: int = 0
    failure_action: FailureAction = FailureAction.PAUSE
    monitor: int | None = None
    """How long (ns) a new task is watched for failure once it runs; None and 0 are Docker's default, 5 s."""
    max_failure_ratio: float = 0.0
    order: UpdateOrder = UpdateOrder.STOP_FIRST


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    task: TaskSpec = field(default_factory=TaskSpec)
    mode: ServiceMode = ServiceMode.REPLICATED
    replicas: int | None = None
    """For replicated services; None is 1."""
    total_completions: int | None = None
    """For replicated jobs, how many tasks must complete; None is as many as may run at once."""
    max_concurrent: int | None = None
    """For replicated jobs, how many tasks may run at once; None is 1."""
    update: UpdateConfig | None = None
    rollback: UpdateConfig | None = None
    endpoint: EndpointSpec | None = None

    @property
    def concurrency(self) -> int:
        """How many tasks of a replicated job may be in progress at a time."""
        return 1 if self.max_concurrent is None else self.max_concurrent

    @property
    def completions(self) -> int:
        """How many tasks of a replicated job must complete."""
        return self.concurrency if self.total_completions is None else self.total_completions


@dataclass(frozen=True, slots=True)
class NodeSpec:
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    role: Role = Role.WORKER
    """The role that is wanted; `Node.role` is the one the node's certificate carries."""
    availability: Availability = Availability.ACTIVE


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    name: str = "default"
    labels: Mapping[str, str] = field(default_factory=dict)
    task_history_limit: int = 5
    """Task objects kept per slot, the live one included; negative keeps all."""
    heartbeat_period: int = 1_000_000_000
    node_cert_expiry: int = 90 * 24 * 3600 * 1_000_000_000
    snapshot_interval: int = 10_000
    """Log entries between snapshots."""
    keep_old_snapshots: int = 0
    """How many a manager keeps of those whose place a later one has taken."""
    auto_lock: bool = False
    """Managers' keys on disk are sealed with the unlock key."""
    log_driver: LogDriver | None = None
    """For tasks whose service names none."""
    force_rotate: int = 0
    """Another number than before asks for a new root."""


@dataclass(frozen=True, slots=True)
class SecretSpec:
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)
    templating: str = ""


@dataclass(frozen=True, slots=True)
class ConfigSpec:
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    data: bytes = field(default=b"", repr=False)
    templating: str = ""
