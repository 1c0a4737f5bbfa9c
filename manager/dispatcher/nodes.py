"""What registrations, silence and acknowledgements make of a node in the store. Pure."""

import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from urllib.parse import unquote

from core.codec import decode
from core.errors import InvalidArgument, NotFound
from core.model import Node, NodeDescription, NodeState, NodeStatus, PortError
from manager.store import Transaction
from proto import dispatcher_pb2 as pb

MAX_DESCRIPTION = 64 << 10
"""Bytes of what a node says of itself."""
DIGEST = 64
"""Characters of SHA-256 in hexadecimal."""
MAX_TEXT = 300
"""Characters of an error that are kept."""
_HOST_NAME = re.compile(
    r"(?=.{1,253}$)[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)*"
)


def read_register(message: pb.Register, peer: str) -> tuple[NodeDescription, str]:
    """The description, and the address at which others reach the node; `peer` is gRPC's word for where it came from.

    Raises InvalidArgument.
    """
    if message.description.ByteSize() > MAX_DESCRIPTION:
        raise InvalidArgument(f"the node's description is larger than {MAX_DESCRIPTION >> 10} KiB: shorten its labels")
    description = decode(NodeDescription, message.description)
    if len(description.engine_error) > MAX_TEXT:
        description = replace(description, engine_error=description.engine_error[:MAX_TEXT])
    return description, _checked_address(message.addr or host_of(peer))


def host_of(peer: str) -> str:
    """The address in `ipv4:192.0.2.1:4711` or `ipv6:%5B2001:db8::1%5D:4711`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def register(tx: Transaction, node_id: str, description: NodeDescription, addr: str) -> None:
    """The node is there: ready, or down if its engine is not. Raises NotFound if it has been removed."""
    node = tx.node(node_id)
    if node is None:
        raise NotFound(f"node {node_id} is not in the cluster; join it again")
    state = NodeState.DOWN if description.engine_error else NodeState.READY
    _update(tx, node, replace(node, status=NodeStatus(state, description.engine_error, addr), description=description))


def with_certificate(node: Node, issuer: str, trust_root: str) -> Node:
    """With what it holds and trusts now."""
    if node.description is None:
        return node
    return replace(node, description=replace(node.description, certificate_issuer=issuer, trust_root=trust_root))


def with_port_errors(node: Node, errors: Iterable[PortError]) -> Node:
    kept = (PortError(error.published_port, error.message[:MAX_TEXT]) for error in errors)
    return replace(node, port_errors=tuple(kept))


def update(tx: Transaction, node_id: str, change: Callable[[Node], Node]) -> None:
    """Unless the node has been removed."""
    node = tx.node(node_id)
    if node is not None:
        _update(tx, node, change(node))


def set_state(tx: Transaction, node_id: str, state: NodeState, message: str, holds: Callable[[str], bool]) -> None:
    """Unless the node has been removed, or it does not hold any more."""
    node = tx.node(node_id)
    if node is not None and holds(node_id):
        _update(tx, node, replace(node, status=NodeStatus(state, message, node.status.addr)))


def _update(tx: Transaction, old: Node, new: Node) -> None:
    if new != old:
        tx.update(new)


def _checked_address(addr: str) -> str:
    try:
        parsed = ipaddress.ip_address(addr)
    except ValueError:
        if _HOST_NAME.fullmatch(addr):
            return addr
        raise InvalidArgument(f"{addr[:MAX_TEXT]!r} is not an address at which a node can be reached") from None
    if parsed.is_unspecified or parsed.is_multicast:
        raise InvalidArgument(f"{addr} is not an address at which a node can be reached; give --advertise-addr")
    return addr
