"""What a task asks of a node, in the form that the filters and the index of nodes work with."""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

from core.model import (
    GenericResource,
    Mount,
    MountType,
    Placement,
    Platform,
    Plugin,
    PortConfig,
    Protocol,
    PublishMode,
    Resources,
    Task,
    TaskSpec,
)
from manager.scheduler.constraint import Constraint, parse_constraints

VOLUME_PLUGIN, LOG_PLUGIN = "Volume", "Log"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LOCAL_DRIVERS = ("", "local")
_NO_LOGS = ("", "none")
_NOTHING = Resources()
_ANYWHERE = Placement()
_MAX_CACHED = 10_000


class Requirements(NamedTuple):
    """Equal ones are served by the same nodes, whatever service they come from."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    generic: tuple[tuple[str, int], ...] = ()
    """How many of each kind."""
    plugins: tuple[Plugin, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    platforms: tuple[Platform, ...] = ()
    """Any of them will do; none given, any node will."""
    host_ports: tuple[tuple[Protocol, int], ...] = ()
    max_replicas: int = 0
    """How many tasks of `service_id` a node may have; 0 is without limit."""
    service_id: str = ""
    service_name: str = ""
    """Both are given only where it matters."""


ANYTHING = Requirements()


@lru_cache(maxsize=256)
def normal_platform(platform: Platform) -> Platform:
    """Lower case, and one name for each architecture."""
    architecture = platform.architecture.lower()
    return Platform(_ARCHITECTURES.get(architecture, architecture), platform.os.lower())


def units(resource: GenericResource) -> int:
    """How many of its kind `resource` is: a named one is one."""
    return 1 if resource.id else resource.value


def requirements_of(task: Task) -> Requirements:
    """Raises InvalidArgument for a constraint that is none; specs are checked before they are stored."""
    spec = task.spec
    if not (spec.resources or spec.placement or spec.container.mounts or spec.log_driver or task.ports):
        return ANYTHING
    reserved = (spec.resources.reservations if spec.resources else None) or _NOTHING
    placement = spec.placement or _ANYWHERE
    return Requirements(
        nano_cpus=reserved.nano_cpus,
        memory_bytes=reserved.memory_bytes,
        generic=_generic(reserved) if reserved.generic else (),
        plugins=_plugins(spec) if spec.container.mounts or spec.log_driver else (),
        constraints=parse_constraints(placement.constraints),
        platforms=tuple(map(normal_platform, placement.platforms)),
        host_ports=_host_ports(task) if task.ports else (),
        max_replicas=placement.max_replicas,
        service_id=task.service_id if placement.max_replicas else "",
        service_name=task.service_name if placement.max_replicas else "",
    )


def _generic(reserved: Resources) -> tuple[tuple[str, int], ...]:
    wanted: Counter[str] = Counter()
    for resource in reserved.generic:
        wanted[resource.kind] += units(resource)
    return tuple(sorted(wanted.items()))


def _plugins(spec: TaskSpec) -> tuple[Plugin, ...]:
    wanted = {Plugin(VOLUME_PLUGIN, name) for mount in spec.container.mounts if (name := _volume_driver(mount))}
    if spec.log_driver is not None and spec.log_driver.name not in _NO_LOGS:
        wanted.add(Plugin(LOG_PLUGIN, spec.log_driver.name))
    return tuple(sorted(wanted, key=lambda plugin: (plugin.type, plugin.name)))


def _volume_driver(mount: Mount) -> str:
    """Empty if every node has it."""
    if mount.type is not MountType.VOLUME or mount.volume is None or mount.volume.driver in _LOCAL_DRIVERS:
        return ""
    return mount.volume.driver


def _host_ports(task: Task) -> tuple[tuple[Protocol, int], ...]:
    return tuple(
        (port.protocol, port.published_port)
        for port in task.ports
        if port.publish_mode is PublishMode.HOST and port.published_port
    )


class RequirementsCache:
    """Requirements by (service, spec version, ports): all tasks of one have the same. Equal ones are one object.

    A task may have been given the ports of a later version.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, tuple[PortConfig, ...]], Requirements] = {}
        self._distinct: dict[Requirements, Requirements] = {}

    def of(self, task: Task) -> Requirements:
        key = (task.service_id, task.spec_version, task.ports)
        known = self._known.get(key)
        if known is None:
            for cached in (self._known, self._distinct):
                if len(cached) >= _MAX_CACHED:
                    cached.clear()
            found = requirements_of(task)
            known = self._known[key] = self._distinct.setdefault(found, found)
        return known
