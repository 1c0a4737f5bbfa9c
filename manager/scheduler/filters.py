"""Which nodes may take a task. One list, in the order in which a node's objection is looked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.model import Platform
from manager.scheduler.constraint import matches
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.requirements import Requirements

NO_SUITABLE_NODE = "no suitable node"


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    concerns: Callable[[Requirements], bool]
    """Whether tasks with these requirements are subject to it at all."""
    accepts: Callable[[Requirements, NodeInfo], bool]
    objection: str
    """For the user, with `{nodes}` for how many nodes object."""
    follows_load: bool = False
    """Whether the answer changes with the node's tasks, and not only with the node."""

    def explain(self, nodes: int) -> str:
        return self.objection.format(nodes=f"{nodes} node" if nodes == 1 else f"{nodes} nodes")


def filters_for(requirements: Requirements) -> tuple[Filter, ...]:
    return tuple(item for item in FILTERS if item.concerns(requirements))


def objection_of(node: NodeInfo, requirements: Requirements, filters: Sequence[Filter]) -> Filter | None:
    """The first filter that refuses the node."""
    for item in filters:
        if not item.accepts(requirements, node):
            return item
    return None


def explain(objections: Mapping[Filter, int]) -> str:
    """What to write on a task that no node can take, the most frequent objection first; then in the filters' order."""
    found = [(item, objections[item]) for item in FILTERS if objections.get(item)]
    reasons = "; ".join(item.explain(nodes) for item, nodes in sorted(found, key=lambda item: -item[1]))
    return f"{NO_SUITABLE_NODE} ({reasons})" if reasons else NO_SUITABLE_NODE


def _has_room(wanted: Requirements, node: NodeInfo) -> bool:
    return wanted.nano_cpus <= node.nano_cpus and wanted.memory_bytes <= node.memory_bytes


def _runs_platform(wanted: Requirements, node: NodeInfo) -> bool:
    return any(_covers(platform, node.platform) for platform in wanted.platforms)


def _covers(wanted: Platform, found: Platform) -> bool:
    """An empty field of `wanted` is satisfied by anything that is known."""
    if not found.os or not found.architecture:
        return False
    return wanted.os in ("", found.os) and wanted.architecture in ("", found.architecture)


FILTERS = (
    Filter(
        concerns=lambda wanted: True,
        accepts=lambda wanted, node: node.usable and not node.suspect,
        objection="{nodes} not available for new tasks",
    ),
    Filter(
        concerns=lambda wanted: bool(wanted.nano_cpus or wanted.memory_bytes),
        accepts=_has_room,
        objection="insufficient resources on {nodes}",
        follows_load=True,
    ),
    Filter(
        concerns=lambda wanted: bool(wanted.constraints),
        accepts=lambda wanted, node: matches(wanted.constraints, node.node),
        objection="scheduling constraints not satisfied on {nodes}",
    ),
    Filter(
        concerns=lambda wanted: bool(wanted.platforms),
        accepts=_runs_platform,
        objection="unsupported platform on {nodes}",
    ),
    Filter(
        concerns=lambda wanted: bool(wanted.host_ports),
        accepts=lambda wanted, node: node.host_ports.keys().isdisjoint(wanted.host_ports),
        objection="host-mode port already in use on {nodes}",
        follows_load=True,
    ),
)
