"""Which nodes may take a task. One list, in the order in which a node's objection is looked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.model import Platform, Plugin
from core.words import agreeing
from manager.scheduler import advice
from manager.scheduler.constraint import matches
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.requirements import LOG_PLUGIN, Requirements

NO_SUITABLE_NODE = "no suitable node"
_NEWEST = ":latest"


@dataclass(frozen=True, slots=True, eq=False)
class Filter:
    name: str
    concerns: Callable[[Requirements], bool]
    """Whether tasks with these requirements are subject to it at all."""
    accepts: Callable[[Requirements, NodeInfo], bool]
    objection: str
    """For the user, with `{nodes}` for how many nodes object."""
    advise: Callable[[Requirements, NodeInfo], Iterator[str]]
    """What there is to say of a node that it refuses: what is wrong there, and what would change it."""
    follows_load: bool = False
    """Whether the answer changes with the node's tasks, and not only with the node."""

    def explain(self, nodes: int) -> str:
        return self.objection.format(nodes=f"{nodes} {agreeing(nodes, 'node')}")


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
    if wanted.nano_cpus > node.nano_cpus or wanted.memory_bytes > node.memory_bytes:
        return False
    return all(number <= node.generic.get(kind, 0) for kind, number in wanted.generic)


def _has_plugins(wanted: Requirements, node: NodeInfo) -> bool:
    return all(_has_plugin(node, plugin) for plugin in wanted.plugins)


def _has_plugin(node: NodeInfo, wanted: Plugin) -> bool:
    """A node that speaks of no log plugins at all has an engine that does not tell."""
    names = node.plugins.get(wanted.type, ())
    if not names and wanted.type == LOG_PLUGIN:
        return True
    return wanted.name in names or wanted.name + _NEWEST in names


def _runs_platform(wanted: Requirements, node: NodeInfo) -> bool:
    return any(_covers(platform, node.platform) for platform in wanted.platforms)


def _covers(wanted: Platform, found: Platform) -> bool:
    """An empty field of `wanted` is satisfied by anything that is known."""
    if not found.os or not found.architecture:
        return False
    return wanted.os in ("", found.os) and wanted.architecture in ("", found.architecture)


FILTERS = (
    Filter(
        name="ready",
        concerns=lambda wanted: True,
        accepts=lambda wanted, node: node.usable and not node.suspect,
        objection="{nodes} not available for new tasks",
        advise=advice.on_readiness,
    ),
    Filter(
        name="resources",
        concerns=lambda wanted: bool(wanted.nano_cpus or wanted.memory_bytes or wanted.generic),
        accepts=_has_room,
        objection="insufficient resources on {nodes}",
        advise=advice.on_resources,
        follows_load=True,
    ),
    Filter(
        name="plugins",
        concerns=lambda wanted: bool(wanted.plugins),
        accepts=_has_plugins,
        objection="missing plugin on {nodes}",
        advise=lambda wanted, node: advice.on_plugins(p for p in wanted.plugins if not _has_plugin(node, p)),
    ),
    Filter(
        name="constraints",
        concerns=lambda wanted: bool(wanted.constraints),
        accepts=lambda wanted, node: matches(wanted.constraints, node.node),
        objection="scheduling constraints not satisfied on {nodes}",
        advise=advice.on_constraints,
    ),
    Filter(
        name="platform",
        concerns=lambda wanted: bool(wanted.platforms),
        accepts=_runs_platform,
        objection="unsupported platform on {nodes}",
        advise=advice.on_platform,
    ),
    Filter(
        name="host ports",
        concerns=lambda wanted: bool(wanted.host_ports),
        accepts=lambda wanted, node: node.host_ports.keys().isdisjoint(wanted.host_ports),
        objection="host-mode port already in use on {nodes}",
        advise=advice.on_host_ports,
        follows_load=True,
    ),
    Filter(
        name="max replicas",
        concerns=lambda wanted: bool(wanted.max_replicas),
        accepts=lambda wanted, node: node.tasks_of(wanted.service_id) < wanted.max_replicas,
        objection="max replicas per node limit exceeded on {nodes}",
        advise=advice.on_max_replicas,
        follows_load=True,
    ),
)
