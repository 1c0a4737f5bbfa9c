"""Placement constraints such as `node.labels.disk==ssd`, for all who need them: one grammar, one meaning."""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from core.errors import InvalidArgument
from core.model import Node, NodeDescription

_OPERATOR = re.compile(r"==|!=")
_KEY = re.compile(r"[a-z_][a-z0-9\-_.]+", re.IGNORECASE | re.ASCII)
_VALUE = re.compile(r"[a-z0-9:\-_\s.*()?+\[\]\\^$|/]+", re.IGNORECASE | re.ASCII)
_NODE_LABELS = "node.labels."
_ENGINE_LABELS = "engine.labels."
LABELS = (_NODE_LABELS, _ENGINE_LABELS)
"""How a key begins that names a label."""
_ADDRESS = "node.ip"


class Constraint(NamedTuple):
    key: str
    equal: bool
    """`==` when true, `!=` when false."""
    value: str

    def __str__(self) -> str:
        return f"{self.key}{'==' if self.equal else '!='}{self.value}"

    def holds(self, found: str) -> bool:
        """Whether the whole of `found` is (or is not) the value, whatever the case of its letters."""
        return (found.casefold() == self.value.casefold()) is self.equal


@lru_cache(maxsize=4096)
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


def value_of(key: str, node: Node) -> str | None:
    """What the node has for `key`, empty if it has nothing; None if nobody knows the key."""
    find = FIELDS.get(key.lower())
    if find is not None:
        return find(node)
    return label_of(node, key) if is_label(key) else None


def is_label(key: str) -> bool:
    """Whether `key` names a label of nodes or of their engines."""
    return key.lower().startswith(LABELS)


def is_known(key: str) -> bool:
    """Whether a node may have something for `key`."""
    return key.lower() in FIELDS or is_label(key)


def is_engine_label(key: str) -> bool:
    return key.lower().startswith(_ENGINE_LABELS)


def label_name(key: str) -> str:
    """`disk` of `node.labels.disk`. It is case-sensitive, unlike what is before it."""
    return key[len(_ENGINE_LABELS if is_engine_label(key) else _NODE_LABELS) :]


def label_of(node: Node, key: str) -> str:
    """The value of the label that `key` names, empty if the node has none."""
    labels = _description(node).engine_labels if is_engine_label(key) else node.spec.labels
    return labels.get(label_name(key), "")


def _matches(constraint: Constraint, node: Node) -> bool:
    found = value_of(constraint.key, node)
    if found is None:
        return False
    if constraint.key.lower() == _ADDRESS:
        return _matches_address(constraint, found)
    return constraint.holds(found)


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
FIELDS: Mapping[str, Callable[[Node], str]] = {
    "node.id": lambda node: node.id,
    "node.hostname": lambda node: _description(node).hostname,
    "node.role": lambda node: node.role.name,
    _ADDRESS: lambda node: node.status.addr,
    "node.platform.os": lambda node: _description(node).platform.os,
    "node.platform.arch": lambda node: _description(node).platform.architecture,
}
"""All other keys."""
