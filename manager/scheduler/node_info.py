"""One node as the scheduler sees it: the object of the store and what its tasks take of it."""

from typing import NamedTuple

from core.model import Availability, Node, NodeState, Platform, Protocol
from manager.scheduler.requirements import Requirements, normal_platform


class Claim(NamedTuple):
    """What one task takes, until it is past RUNNING."""

    service_id: str
    requirements: Requirements
    counts: bool
    """Whether it counts as load: a task that is being stopped still holds its resources, but does not."""


class NodeInfo:
    """Changed by `Nodes` alone."""

    __slots__ = (
        "claims",
        "host_ports",
        "id",
        "load",
        "memory_bytes",
        "nano_cpus",
        "node",
        "platform",
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
        self.suspect = False
        """Its connection is broken, so it gets no new tasks; whether it is down is not known yet."""
        self.update(node)

    def update(self, node: Node) -> None:
        self.node = node
        self.usable = node.status.state is NodeState.READY and node.spec.availability is Availability.ACTIVE
        description = node.description
        self.platform = normal_platform(description.platform) if description else Platform()
        claimed = [claim.requirements for claim in self.claims.values()]
        resources = description.resources if description else None
        self.nano_cpus = (resources.nano_cpus if resources else 0) - sum(item.nano_cpus for item in claimed)
        self.memory_bytes = (resources.memory_bytes if resources else 0) - sum(item.memory_bytes for item in claimed)

    def hold(self, task_id: str, claim: Claim) -> None:
        """Takes what `claim` says; the task must hold nothing yet."""
        wanted = claim.requirements
        self.claims[task_id] = claim
        self.nano_cpus -= wanted.nano_cpus
        self.memory_bytes -= wanted.memory_bytes
        for port in wanted.host_ports:
            self.host_ports.setdefault(port, task_id)

    def give_back(self, task_id: str) -> None:
        held = self.claims.pop(task_id).requirements
        self.nano_cpus += held.nano_cpus
        self.memory_bytes += held.memory_bytes
        for port in held.host_ports:
            if self.host_ports.get(port) == task_id:
                del self.host_ports[port]
