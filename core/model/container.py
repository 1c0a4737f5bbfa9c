"""A service's container as its user asks for it. Durations are whole nanoseconds, sizes are bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.model.states import MountType


@dataclass(frozen=True, slots=True)
class BindOptions:
    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False


@dataclass(frozen=True, slots=True)
class VolumeOptions:
    no_copy: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    driver: str = ""
    driver_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TmpfsOptions:
    size_bytes: int = 0
    mode: int = 0


@dataclass(frozen=True, slots=True)
class Mount:
    type: MountType = MountType.VOLUME
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind: BindOptions | None = None
    volume: VolumeOptions | None = None
    tmpfs: TmpfsOptions | None = None


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How the engine finds out whether a container works. 0 and empty: as the image says."""

    test: tuple[str, ...] = ()
    """`("NONE",)`: the image's own check is switched off."""
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class DNSConfig:
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ulimit:
    name: str = ""
    soft: int = 0
    hard: int = 0


@dataclass(frozen=True, slots=True)
class FileTarget:
    """Where a secret or config appears in a container."""

    name: str = ""
    """A path; a relative one lies in /run/secrets (secrets) or / (configs)."""
    uid: str = "0"
    gid: str = "0"
    mode: int = 0o444


@dataclass(frozen=True, slots=True)
class SecretReference:
    secret_id: str = ""
    secret_name: str = ""
    file: FileTarget = field(default_factory=FileTarget)


@dataclass(frozen=True, slots=True)
class ConfigReference:
    config_id: str = ""
    config_name: str = ""
    file: FileTarget = field(default_factory=FileTarget)


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    image: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    """Replaces the image's entry point."""
    args: tuple[str, ...] = ()
    """Replaces the image's command."""
    hostname: str = ""
    env: tuple[str, ...] = ()
    dir: str = ""
    user: str = ""
    stop_signal: str = ""
    stop_grace_period: int | None = None
    mounts: tuple[Mount, ...] = ()
    init: bool | None = None
    isolation: str = ""
    groups: tuple[str, ...] = ()
    tty: bool = False
    open_stdin: bool = False
    read_only: bool = False
    hosts: tuple[str, ...] = ()
    """Lines of /etc/hosts: `ADDRESS NAME [NAME...]`."""
    dns: DNSConfig | None = None
    health_check: HealthCheck | None = None
    secrets: tuple[SecretReference, ...] = ()
    configs: tuple[ConfigReference, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    ulimits: tuple[Ulimit, ...] = ()
    oom_score_adj: int = 0
    registry_auth: str = field(default="", repr=False)
    """Docker's X-Registry-Auth for pulling the image. Goes to the nodes that run a task, and never into an answer."""
