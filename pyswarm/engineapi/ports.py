"""What the API needs of the node it speaks for; the roof hands in the real ones."""

from collections.abc import AsyncIterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from core.errors import AlreadyExists, Unavailable
from core.model import Availability, ClusterSpec
from manager.control.api import ControlApi

__all__ = [
    "AlreadyInSwarm",
    "ControlApi",
    "InitRequest",
    "JoinRequest",
    "LocalNode",
    "LocalState",
    "ManagerPeer",
    "NodeApi",
    "NotInSwarm",
    "NotLocked",
    "NotManager",
    "RestoreRequest",
    "SwarmLocked",
]

LocalState = Literal["inactive", "pending", "active", "error", "locked"]


@dataclass(frozen=True, slots=True)
class ManagerPeer:
    node_id: str
    addr: str
    """host:port of its Raft and control server."""


@dataclass(frozen=True, slots=True)
class LocalNode:
    """Where this node stands. Empty ids and addresses while it is in no cluster."""

    node_id: str = ""
    addr: str = ""
    """How other nodes reach it (no port)."""
    state: LocalState = "inactive"
    is_manager: bool = False
    remote_managers: tuple[ManagerPeer, ...] = ()
    error: str = ""
    """Why the node is not what it should be, for the user."""
    warnings: tuple[str, ...] = ()
    """What it cannot do meanwhile though it is what it should be, for the user."""


@dataclass(frozen=True, slots=True)
class InitRequest:
    """Addresses are as the user typed them: host, interface, host:port, or empty for the node to choose."""

    listen_addr: str = ""
    advertise_addr: str = ""
    availability: Availability = Availability.ACTIVE
    spec: ClusterSpec = field(default_factory=ClusterSpec)
    force_new_cluster: bool = False
    """Go on as the only manager with what this one holds: empty addresses stay what they are, the rest is not used."""


@dataclass(frozen=True, slots=True)
class JoinRequest:
    listen_addr: str = ""
    advertise_addr: str = ""
    remote_addrs: tuple[str, ...] = ()
    join_token: str = field(default="", repr=False)
    availability: Availability = Availability.ACTIVE


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    listen_addr: str = ""
    advertise_addr: str = ""
    passphrase: str = field(default="", repr=False)


class NodeApi(Protocol):
    """This node's own life. Every method may raise any PyswarmError; its message goes to the user as it is."""

    @property
    def engine_url(self) -> str:
        """Of the node's own Docker Engine: unix:///path or tcp://host:port."""
        ...

    async def init(self, request: InitRequest) -> str:
        """Starts a cluster of one manager; its node id. Returns once it leads, and cluster and node can be read:
        clients ask for both at once. Raises AlreadyInSwarm.

        To force a new cluster raises FailedPrecondition instead on a node that holds no manager's log, and while the
        quorum is there.
        """
        ...

    async def join(self, request: JoinRequest) -> None:
        """Returns once the node has its certificate and its first session. Raises AlreadyInSwarm."""
        ...

    async def leave(self, force: bool) -> None:
        """Raises NotInSwarm; Unavailable for a manager that is not forced, with what would be lost."""
        ...

    async def unlock(self, key: str) -> None:
        """Opens the keys of this locked manager, and goes on where it was.

        Raises NotLocked on one that is not, NotManager where there is none, InvalidArgument for a wrong key.
        """
        ...

    async def backup(self, passphrase: str) -> Iterator[bytes]:
        """The cluster as of now, sealed; to be read off the loop, which raises InvalidArgument for a passphrase that is
        too short. Raises NotManager, and what a read raises.
        """
        ...

    async def restore(self, request: RestoreRequest, backup: AsyncIterable[bytes]) -> str:
        """Starts a cluster of one manager out of `backup`; its node id. Returns as `init` does, or leaves no trace.

        Raises AlreadyInSwarm, InvalidArgument for a wrong passphrase or file.
        """
        ...

    def status(self) -> LocalNode: ...

    def control(self) -> ControlApi:
        """The cluster, from any manager. Raises NotManager."""
        ...

    async def engine_info(self) -> Mapping[str, Any]:
        """What the node's own engine answers to GET /info; empty if it does not answer."""
        ...


class AlreadyInSwarm(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            'This node is already part of a swarm. Use "docker swarm leave" to leave this swarm and join another one.'
        )


class SwarmLocked(Unavailable):
    def __init__(self) -> None:
        super().__init__(
            'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock" to '
            "unlock it."
        )


class NotLocked(AlreadyExists):
    """Docker's status for it is the one of a conflict."""

    def __init__(self) -> None:
        super().__init__("swarm is not locked")


class NotInSwarm(Unavailable):
    """For `leave`."""

    def __init__(self) -> None:
        super().__init__("This node is not part of a swarm")


class NotManager(Unavailable):
    """Docker's words: clients recognise them. `in_swarm` tells a worker from a node that is in no cluster."""

    def __init__(self, *, in_swarm: bool) -> None:
        advice = (
            "Worker nodes can't be used to view or modify cluster state. Please run this command on a manager node "
            "or promote the current node to a manager."
            if in_swarm
            else 'Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.'
        )
        super().__init__(f"This node is not a swarm manager. {advice}")
