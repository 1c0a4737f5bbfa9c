"""What a filter has to say of a node that it refuses: what is wrong there, then what would change it."""

from collections.abc import Iterable, Iterator

from core.model import Availability, NodeState, Platform, Plugin, Role
from core.units import format_size
from core.words import agreeing
from manager.scheduler import unknown_keys
from manager.scheduler.constraint import Constraint, is_engine_label, is_label, label_name, matches, value_of
from manager.scheduler.node_info import NodeInfo
from manager.scheduler.requirements import Requirements, units

_CPU = 10**9
"""Nano-CPUs."""


def on_readiness(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    state, availability = node.node.status.state, node.node.spec.availability
    if state is not NodeState.READY:
        message = node.node.status.message
        yield f"is {state.name.lower()}{f' ({message})' if message else ''}: bring it back"
    elif node.suspect:
        yield "its connection broke a moment ago: wait until it is back, or known to be down"
    if availability is not Availability.ACTIVE:
        yield (
            f"its availability is {availability.name.lower()}: "
            f"pyswarm node update --availability active {name_of(node)}"
        )


def on_resources(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    total = node.resources
    if wanted.nano_cpus > node.nano_cpus:
        more = wanted.nano_cpus - node.nano_cpus
        free = f"{_cpus(node.nano_cpus)} of {_cpus(total.nano_cpus)} free"
        yield f"needs {_cpus(more)} more {agreeing(more / _CPU, 'CPU')}; {free}"
    if wanted.memory_bytes > node.memory_bytes:
        missing = format_size(wanted.memory_bytes - node.memory_bytes)
        free = format_size(max(0, node.memory_bytes))
        yield f"needs {missing} more memory; {free} of {format_size(total.memory_bytes)} free"
    for kind, number in wanted.generic:
        free_units = node.generic.get(kind, 0)
        if number > free_units:
            has = sum(units(item) for item in total.generic if item.kind == kind)
            yield f"needs {number - free_units} more {kind}; {max(0, free_units)} of {has} free"


def on_plugins(missing: Iterable[Plugin]) -> Iterator[str]:
    for plugin in missing:
        yield f"its engine has no {plugin.type.lower()} plugin {plugin.name}: docker plugin install {plugin.name} there"


def on_constraints(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    for constraint in wanted.constraints:
        if not matches((constraint,), node.node):
            yield _unmet(constraint, node)


def on_platform(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    asked = " or ".join(_platform(platform) for platform in wanted.platforms)
    yield f"runs {_platform(node.platform)}, the image is for {asked}: use an image that is for both"


def on_host_ports(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    for port in wanted.host_ports:
        if port in node.host_ports:
            protocol, number = port
            yield f"its port {number}/{protocol.name.lower()} is held by task {node.host_ports[port]}"


def on_max_replicas(wanted: Requirements, node: NodeInfo) -> Iterator[str]:
    has = node.tasks_of(wanted.service_id)
    more = f"pyswarm service update --replicas-max-per-node {has + 1} {wanted.service_name}"
    yield f"has {has} of at most {wanted.max_replicas} {agreeing(wanted.max_replicas, 'task')}: {more}"


def name_of(node: NodeInfo) -> str:
    """What a user calls it."""
    description = node.node.description
    return description.hostname if description and description.hostname else node.id


def _unmet(constraint: Constraint, node: NodeInfo) -> str:
    key = constraint.key
    found = value_of(key, node.node)
    if found is None:
        return unknown_keys.reason(constraint)
    wants = f"constraint wants {'' if constraint.equal else 'anything but '}{constraint.value}"
    if not is_label(key):
        return f"{key} is {found.lower() or 'not known'}, {wants}{_change_of_role(constraint, node)}"
    name, found = label_name(key), found or "not set"
    if is_engine_label(key):
        return f"engine label {name} is {found}, {wants}: change the labels in its engine's daemon.json"
    change = f"--label-add {name}={constraint.value}" if constraint.equal else f"--label-rm {name}"
    return f"label {name} is {found}, {wants}: pyswarm node update {change} {name_of(node)}"


def _change_of_role(constraint: Constraint, node: NodeInfo) -> str:
    if constraint.key.lower() != "node.role" or constraint.value.upper() not in Role.__members__:
        return ""
    return f": pyswarm node {'promote' if node.node.role is Role.WORKER else 'demote'} {name_of(node)}"


def _cpus(nano: int) -> str:
    return f"{max(0, nano) / _CPU:g}"


def _platform(platform: Platform) -> str:
    return f"{platform.os or 'any'}/{platform.architecture or 'any'}"
