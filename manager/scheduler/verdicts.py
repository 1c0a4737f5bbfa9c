"""What every node would say to one more task: all objections of each, not only the first."""

from collections.abc import Collection, Iterable

from core.model import Node, NodeVerdict, Objection, Task
from manager.scheduler.advice import name_of
from manager.scheduler.filters import filters_for
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.nodes import Nodes
from manager.scheduler.requirements import Requirements, RequirementsCache, requirements_of


def verdicts(
    nodes: Iterable[Node], tasks: Iterable[Task], suspects: Collection[str], wanted: Task
) -> tuple[NodeVerdict, ...]:
    """By hostname. `tasks` are all there are, `suspects` the ids of nodes whose connection is broken just now, `wanted`
    is the task to be placed."""
    cache = RequirementsCache()
    mirror = Nodes(cache, suspects.__contains__)
    for node in nodes:
        mirror.check_trust(mirror.put(node))
    for task in tasks:
        mirror.observe(task)
    requirements = requirements_of(wanted)
    return tuple(_verdict(info, wanted.service_id, requirements) for info in sorted(mirror, key=name_of))


def _verdict(info: NodeInfo, service_id: str, requirements: Requirements) -> NodeVerdict:
    objections = (
        Objection(item.name, tuple(item.advise(requirements, info)))
        for item in filters_for(requirements)
        if not item.accepts(requirements, info)
    )
    return NodeVerdict(
        node_id=info.id, hostname=name_of(info), tasks=info.tasks_of(service_id), objections=tuple(objections)
    )
