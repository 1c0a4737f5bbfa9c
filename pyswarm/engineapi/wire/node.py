"""Nodes: what is asked of them (NodeSpec) and what they are."""

from core.errors import InvalidArgument
from core.model import ManagerStatus, Node, NodeDescription, NodeSpec
from pyswarm.engineapi.wire.fields import Fields
from pyswarm.engineapi.wire.json_types import Json, given, ordered, show_meta, some
from pyswarm.engineapi.wire.names import AVAILABILITIES, ROLES, word
from pyswarm.engineapi.wire.placement import show_platform
from pyswarm.engineapi.wire.resources import show_resources
from pyswarm.engineapi.wire.tls import Roots, show_node_tls


def read_node_spec(body: object) -> NodeSpec:
    """Raises InvalidArgument if role or availability are missing: they would otherwise change unasked."""
    fields = Fields(body)
    role, availability = fields.text("Role"), fields.text("Availability")
    if role.lower() not in ROLES:
        raise InvalidArgument(f"invalid Role: {role!r} ({', '.join(ROLES)})")
    if availability.lower() not in AVAILABILITIES:
        raise InvalidArgument(f"invalid Availability: {availability!r} ({', '.join(AVAILABILITIES)})")
    spec = NodeSpec(
        name=fields.text("Name"),
        labels=fields.labels("Labels"),
        role=ROLES[role.lower()],
        availability=AVAILABILITIES[availability.lower()],
    )
    fields.finish()
    return spec


def show_node_spec(spec: NodeSpec) -> Json:
    return {
        **some(Name=spec.name),
        "Labels": ordered(spec.labels),
        "Role": word(spec.role),
        "Availability": word(spec.availability),
    }


def show_node(node: Node, roots: Roots) -> Json:
    """`roots` are the cluster's."""
    return {
        **show_meta(node.id, node.meta),
        "Spec": show_node_spec(node.spec),
        "Description": {
            **_show_description(node.description or NodeDescription()),
            "TLSInfo": show_node_tls(node, roots),
        },
        "Status": {"State": word(node.status.state), **some(Message=_message(node), Addr=node.status.addr)},
        **given(ManagerStatus=node.manager and _show_manager(node.manager)),
    }


def _show_description(description: NodeDescription) -> Json:
    plugins = [{"Type": plugin.type, "Name": plugin.name} for plugin in description.plugins]
    return {
        "Hostname": description.hostname,
        "Platform": show_platform(description.platform),
        "Resources": show_resources(description.resources),
        "Engine": some(
            EngineVersion=description.engine_version,
            Labels=ordered(description.engine_labels),
            Plugins=plugins,
        ),
    }


def _message(node: Node) -> str:
    """Everything that is wrong with the node: Docker has one line for it."""
    engine = node.description.engine_error if node.description else ""
    reasons = [node.status.message, *([engine] if engine not in node.status.message else [])]
    reasons += [error.message for error in node.port_errors]
    return "; ".join(reason for reason in reasons if reason)


def _show_manager(manager: ManagerStatus) -> Json:
    return {**some(Leader=manager.leader), "Reachability": word(manager.reachability), **some(Addr=manager.addr)}
