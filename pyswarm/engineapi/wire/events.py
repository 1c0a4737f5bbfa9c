"""Events as Docker tells them: what happened to what, and of an update what is different now."""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

from core.clock import SECOND
from core.model import Config, Meta, Node, Secret, Service, ServiceMode
from manager.store import Event, EventKind, Kind
from manager.watch import Changes
from pyswarm.engineapi.wire.json_types import Json, some
from pyswarm.engineapi.wire.names import word

TYPES: dict[Kind, str] = {Node: "node", Service: "service", Secret: "secret", Config: "config"}
"""Kinds of objects that Docker's events are of."""
_ACTIONS = {EventKind.CREATE: "create", EventKind.UPDATE: "update", EventKind.DELETE: "remove"}


def show_events(changes: Changes) -> Iterator[Json]:
    """One for each event of a kind that has them, but for what only the managers keep of a node."""
    for event in changes.events:
        if type(event.object) in TYPES and not _is_bookkeeping(event):
            yield {
                "Type": TYPES[type(event.object)],
                "Action": _ACTIONS[event.kind],
                "Actor": {"ID": event.object.id, "Attributes": dict(sorted(_attributes(event).items()))},
                "scope": "swarm",
                "time": changes.at // SECOND,
                "timeNano": changes.at,
            }


def _is_bookkeeping(event: Event) -> bool:
    """Whether nothing but the managers' notes of a node's certificates is different."""
    if event.kind is not EventKind.UPDATE or not isinstance(event.object, Node) or not isinstance(event.old, Node):
        return False
    return _without_notes(event.object) == _without_notes(event.old)


def _without_notes(node: Node) -> Node:
    description = node.description and replace(node.description, certificate_issuer="", trust_root="")
    return replace(
        node,
        meta=Meta(),
        description=description,
        certificate_expires_at=0,
        certificate_issuer="",
        certificate_due=False,
    )


def _attributes(event: Event) -> dict[str, str]:
    now, old = event.object, event.old if event.kind is EventKind.UPDATE else None
    if isinstance(now, Node):
        name = now.spec.name or (now.description.hostname if now.description else "")
        before, after = _of_node(cast(Node | None, old)), _of_node(now)
    else:
        name = cast(Service | Secret | Config, now).spec.name
        before, after = _of_service(old), _of_service(now)
    attributes = {"name": name}
    for key in after if old is not None else ():
        if before.get(key) != after[key]:
            attributes |= some(**{f"{key}.old": before.get(key), f"{key}.new": after[key]})
    return attributes


def _of_node(node: Node | None) -> dict[str, str]:
    if node is None:
        return {}
    return {
        "availability": word(node.spec.availability),
        "role": word(node.role),
        "state": word(node.status.state),
    }


def _of_service(item: object) -> dict[str, str]:
    if not isinstance(item, Service):
        return {}
    shown = {"image": item.spec.task.container.image}
    if item.spec.mode is ServiceMode.REPLICATED:
        shown["replicas"] = str(1 if item.spec.replicas is None else item.spec.replicas)
    if item.update_status is not None:
        shown["updatestate"] = item.update_status.state.name.lower()
    return shown
