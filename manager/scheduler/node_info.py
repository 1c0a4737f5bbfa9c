"""One node as the scheduler sees it: the object of the store and what its tasks take of it."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from core.model import (
    Availability,
    GenericResource,
    Node,
    NodeDescription,
    NodeState,
    Platform,
    Protocol,
    Resources,
)
from manager.scheduler.requirements import Requirements, normal_platform, units

_UNDESCRIBED = NodeDescription()


class Claim(NamedTuple):
    """What one task takes, until it is past RUNNING."""

    service_id: str
    requirements: Requirements
    generic: tuple[GenericResource, ...]
    """What was handed out to it."""
    counts: bool
    """Whether it counts as load: a task that is being stopped still holds its resources, but does not."""


class NodeInfo:
    """Changed by `Nodes` alone."""

    __slots__ = (
        "claims",
        "generic",
        "host_ports",
        "id",
        "load",
        "memory_bytes",
        "nano_cpus",
        "node",
        "platform",
        "plugins",
        "suspect",
        "usable",
    )

    def __init__(self, node: Node) -> None:
        self.id = node.id
        self.claims: dict[str, Claim] = {}
        self.load = 0
        """Tasks that are there to stay."""
        self.host_ports: dict[tuple[Protocol, int], str] = {}
        """By which task each is held."""
        self.nano_cpus = 0
        """Not reserved yet; negative if the node has become smaller than its tasks."""
        self.memory_bytes = 0
        self.generic: dict[str, int] = {}
        """How many of each kind are not handed out; negative as above."""
        self.suspect = False
        """Its connection is broken, so it gets no new tasks; whether it is down is not known yet."""
        self.update(node)

    @property
    def resources(self) -> Resources:
        """All that the node has, free or not."""
        return (self.node.description or _UNDESCRIBED).resources

    def update(self, node: Node) -> None:
        self.node = node
        self.usable = node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE
        description = node.description or _UNDESCRIBED
        self.platform = normal_platform(description.platform) if node.description else Platform()
        self.plugins: dict[str, set[str]] = {}
        for plugin in description.plugins:
            self.plugins.setdefault(plugin.type, set()).add(plugin.name)
        self.nano_cpus, self.memory_bytes = description.resources.nano_cpus, description.resources.memory_bytes
        self.generic = dict(_numbers(description.resources.generic))
        for claim in self.claims.values():
            self._take(claim)

    def hold(self, task_id: str, claim: Claim) -> None:
        """Takes what `claim` says; the task must hold nothing yet."""
        self.claims[task_id] = claim
        self._take(claim)
        for port in claim.requirements.host_ports:
            self.host_ports.setdefault(port, task_id)

    def give_back(self, task_id: str) -> Claim:
        """What the task held until now."""
        claim = self.claims.pop(task_id)
        held = claim.requirements
        self.nano_cpus += held.nano_cpus
        self.memory_bytes += held.memory_bytes
        for kind, number in _numbers(claim.generic):
            self.generic[kind] += number
        for port in held.host_ports:
            if self.host_ports.get(port) == task_id:
                del self.host_ports[port]
        return claim

    def tasks_of(self, service_id: str) -> int:
        """How many of the service's tasks are there to stay."""
        return sum(claim.counts and claim.service_id == service_id for claim in self.claims.values())

    def hand_out(self, wanted: Iterable[tuple[str, int]]) -> tuple[GenericResource, ...]:
        """For a task that the node has room for: of each kind the named ones that nobody has, each by its name, and
        the others by number."""
        held = {resource for claim in self.claims.values() for resource in claim.generic}
        given: list[GenericResource] = []
        for kind, number in wanted:
            free = [one for one in self.resources.generic if one.kind == kind and one.id and one not in held]
            given += free[:number]
            if number > len(free):
                given.append(GenericResource(kind, value=number - len(free)))
        return tuple(given)

    def _take(self, claim: Claim) -> None:
        self.nano_cpus -= claim.requirements.nano_cpus
        self.memory_bytes -= claim.requirements.memory_bytes
        for kind, number in _numbers(claim.generic):
            self.generic[kind] = self.generic.get(kind, 0) - number


def _numbers(resources: Iterable[GenericResource]) -> Iterable[tuple[str, int]]:
    if not resources:
        return ()
    numbers: Counter[str] = Counter()
    for resource in resources:
        numbers[resource.kind] += units(resource)
    return numbers.items()
