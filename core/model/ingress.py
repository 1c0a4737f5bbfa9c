"""The cluster's published ports and who answers them: what the dispatcher sends to every node."""

from dataclasses import dataclass
from typing import Protocol as TypingProtocol

from core.model.states import Protocol
from core.model.status import PortError


@dataclass(frozen=True, slots=True)
class Backend:
    """One running task behind a published port."""

    task_id: str = ""
    node_id: str = ""
    node_addr: str = ""
    """Where the relay of the task's node is reached from other nodes (no port)."""
    address: str = ""
    """The container's address on its node's bridge; only that node can reach it."""
    target_port: int = 0


@dataclass(frozen=True, slots=True)
class PublishedPort:
    service_id: str = ""
    protocol: Protocol = Protocol.TCP
    published_port: int = 0
    backends: tuple[Backend, ...] = ()


@dataclass(frozen=True, slots=True)
class IngressState:
    """Complete, not a difference. A higher version replaces a lower one."""

    version: int = 0
    ports: tuple[PublishedPort, ...] = ()
    nodes: tuple[str, ...] = ()
    """The ids of all nodes of the cluster: a relay serves no other node, whatever its certificate."""


@dataclass(frozen=True, slots=True)
class IngressAck:
    """New connections on the acknowledging node follow at least this version."""

    version: int = 0
    errors: tuple[PortError, ...] = ()


class PublishedPorts(TypingProtocol):
    """The data plane of one node, as the worker sees it; `ingress` implements it, the roof injects it."""

    async def apply(self, state: IngressState) -> IngressAck:
        """Programs `state` and returns once new connections follow it. A port that cannot be bound is an entry of
        `errors`, not an exception; it is tried again in the background."""
        ...
