"""Placement constraints such as `node.labels.disk==ssd`, for all who need them: one grammar, one meaning."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from core.errors import InvalidArgument
from core.model import Node, NodeDescription

_OPERATOR = re.compile(r"==|!=")
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)
_NODE_LABELS = "node.labels."
_ENGINE_LABELS = "engine.labels."


@dataclass(frozen=True, slots=True)
class Constraint:
    key: str
    equal: bool
    """`==` when true, `!=` when false."""
    value: str

    def holds(self, found: str) -> bool:
        """Whether the whole of `found` is (or is not) the value, whatever the case of its letters."""
        return (found.casefold() == self.value.casefold()) is self.equal


def parse_constraint(text: str) -> Constraint:
    """Raises InvalidArgument."""
    operator = _OPERATOR.search(text)
    if operator is None:
        raise InvalidArgument(f"invalid constraint {text!r}: write it like node.labels.disk==ssd, with == or !=")
    key, value = text[: operator.start()].strip(), text[operator.end() :].strip()
    if not _KEY.fullmatch(key):
        raise InvalidArgument(f"invalid constraint {text!r}: key '{key}' is invalid")
    if not _VALUE.fullmatch(value):
        raise InvalidArgument(f"invalid constraint {text!r}: value '{value}' is invalid")
    return Constraint(key, operator[0] == "==", value)


def parse_constraints(texts: Iterable[str]) -> tuple[Constraint, ...]:
    """Raises InvalidArgument for the first that is none."""
    return tuple(parse_constraint(text) for text in texts)


def matches(constraints: Iterable[Constraint], node: Node) -> bool:
    """Whether `node` satisfies all of them. A key that nobody knows never matches."""
    return all(_matches(constraint, node) for constraint in constraints)


def _matches(constraint: Constraint, node: Node) -> bool:
    key = constraint.key.lower()
    if key == "node.ip":
        return _matches_address(constraint, node.status.addr)
    find = _FIELDS.get(key)
    if find is not None:
        return constraint.holds(find(node))
    return is_label(key) and constraint.holds(label_of(node, constraint.key))


def is_label(key: str) -> bool:
    """Whether `key` names a label of nodes or of their engines."""
    return key.lower().startswith((_NODE_LABELS, _ENGINE_LABELS))


def label_of(node: Node, key: str) -> str:
    """A label's value, empty if the node has none. What follows `node.labels.` is case-sensitive, unlike that."""
    if key.lower().startswith(_NODE_LABELS):
        return node.spec.labels.get(key[len(_NODE_LABELS) :], "")
    return _description(node).engine_labels.get(key[len(_ENGINE_LABELS) :], "")


def _matches_address(constraint: Constraint, address: str) -> bool:
    """The value is one address or a network (CIDR). Malformed ones never match."""
    try:
        inside = ip_address(address) in ip_network(constraint.value, strict=False)
    except ValueError:
        return False
    return inside is constraint.equal


def _description(node: Node) -> NodeDescription:
    return node.description or _UNDESCRIBED


_UNDESCRIBED = NodeDescription()
_FIELDS: Mapping[str, Callable[[Node], str]] = {
    "node.id": lambda node: node.id,
    "node.hostname": lambda node: _description(node).hostname,
    "node.role": lambda node: node.role.name,
    "node.platform.os": lambda node: _description(node).platform.os,
    "node.platform.arch": lambda node: _description(node).platform.architecture,
}
