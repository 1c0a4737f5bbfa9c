"""What a task asks of a node, in the form that the filters and the index of nodes work with."""

from dataclasses import dataclass

from core.model import Platform, Protocol, PublishMode, Resources, Task
from manager.scheduler.constraint import Constraint, parse_constraints

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NOTHING = Resources()
_MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class Requirements:
    """Equal ones are served by the same nodes, whatever service they come from."""

    nano_cpus: int = 0
    memory_bytes: int = 0
    constraints: tuple[Constraint, ...] = ()
    platforms: tuple[Platform, ...] = ()
    """Any of them will do; none given, any node will."""
    host_ports: tuple[tuple[Protocol, int], ...] = ()


def normal_platform(platform: Platform) -> Platform:
    """Lower case, and one name for each architecture."""
    architecture = platform.architecture.lower()
    return Platform(_ARCHITECTURES.get(architecture, architecture), platform.os.lower())


def requirements_of(task: Task) -> Requirements:
    """Raises InvalidArgument for a constraint that is none; specs are checked before they are stored."""
    resources = task.spec.resources
    reserved = (resources.reservations if resources else None) or _NOTHING
    placement = task.spec.placement
    return Requirements(
        nano_cpus=reserved.nano_cpus,
        memory_bytes=reserved.memory_bytes,
        constraints=parse_constraints(placement.constraints) if placement else (),
        platforms=tuple(normal_platform(platform) for platform in placement.platforms) if placement else (),
        host_ports=tuple(
            (port.protocol, port.published_port)
            for port in task.ports
            if port.publish_mode is PublishMode.HOST and port.published_port
        ),
    )


class RequirementsCache:
    """Requirements by (service, spec version): all tasks of one have the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Requirements] = {}

    def of(self, task: Task) -> Requirements:
        key = (task.service_id, task.spec_version)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MAX_CACHED:
                self._known.clear()
            known = self._known[key] = requirements_of(task)
        return known
