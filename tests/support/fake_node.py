"""A node whose cluster is in memory."""

from collections.abc import AsyncIterable, Iterator, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from core.errors import FailedPrecondition, InvalidArgument, Unavailable
from core.ids import new_id
from identity.unlock import parse_unlock_key
from manager.backup import read_copy, write_copy
from manager.ca import new_cluster
from manager.control import ControlApi
from pyswarm.engineapi.ports import (
    AlreadyInSwarm,
    InitRequest,
    JoinRequest,
    LocalNode,
    ManagerPeer,
    NotInSwarm,
    NotLocked,
    NotManager,
    RestoreRequest,
    SwarmLocked,
)
from tests.support.memory_cluster import START, MemoryCluster

ENGINE_INFO = {"ID": "ENGINE", "Name": "vm", "ServerVersion": "20.10.24", "OSType": "linux", "NCPU": 2}


class FakeNode:
    """In no cluster at first. `init` makes one of this node alone; `join` makes it a worker elsewhere."""

    def __init__(self) -> None:
        self.cluster: MemoryCluster | None = None
        self.local = LocalNode()
        self.engine: Mapping[str, Any] = ENGINE_INFO
        self.engine_url = "unix:///run/no-engine-here.sock"
        self.asked: list[object] = []
        self._locked: tuple[LocalNode, MemoryCluster] | None = None

    async def init(self, request: InitRequest) -> str:
        self.asked.append(request)
        if request.force_new_cluster:
            if self.cluster is None:
                raise FailedPrecondition("this node holds no manager's state")
            return self.local.node_id
        self._check_free()
        self.cluster = MemoryCluster()
        node = await self.cluster.found(new_cluster(START, new_id, request.spec), "vm")
        self.local = LocalNode(node.id, node.status.addr, "active", is_manager=True)
        return node.id

    async def join(self, request: JoinRequest) -> None:
        self.asked.append(request)
        self._check_free()
        peer = ManagerPeer("n" * 25, request.remote_addrs[0])
        self.local = LocalNode("w" * 25, "10.231.0.2", "active", remote_managers=(peer,))

    async def backup(self, passphrase: str) -> Iterator[bytes]:
        if self.cluster is None:
            raise NotManager(in_swarm=False)
        return write_copy(self.cluster.store, passphrase)

    async def restore(self, request: RestoreRequest, backup: AsyncIterable[bytes]) -> str:
        """Keeps the cluster's identity and tokens only."""
        self.asked.append(request)
        self._check_free()
        file = BytesIO(b"".join([piece async for piece in backup]))
        cluster = read_copy(file, request.passphrase).cluster
        assert cluster is not None
        self.cluster = MemoryCluster()
        node = await self.cluster.found(cluster, "vm")
        self.local = LocalNode(node.id, node.status.addr, "active", is_manager=True)
        return node.id

    async def leave(self, force: bool) -> None:
        if self.local.state == "inactive":
            raise NotInSwarm
        if self.local.is_manager and not force:
            raise Unavailable(
                "You are attempting to leave the swarm on a node that is participating as a manager. "
                "Removing the last manager erases all current state of the swarm. "
                "Use `--force` to suppress this message."
            )
        self.cluster, self.local = None, LocalNode()

    def restart(self) -> None:
        """If managers are locked, it waits for the unlock key then."""
        if self.cluster is not None and self.cluster.cluster.unlock_key:
            self._locked, self.cluster = (self.local, self.cluster), None
            self.local = LocalNode(state="locked", error=SwarmLocked().message)

    async def unlock(self, key: str) -> None:
        if self._locked is not None:
            local, cluster = self._locked
            if parse_unlock_key(key) != cluster.cluster.unlock_key:
                raise InvalidArgument("swarm could not be unlocked: invalid key provided")
            self.local, self.cluster, self._locked = local, cluster, None
        elif self.local.is_manager:
            raise NotLocked
        else:
            raise NotManager(in_swarm=self.local.state == "active")

    def status(self) -> LocalNode:
        if self.cluster is None:
            return self.local
        peers = tuple(ManagerPeer(member.node_id, member.addr) for member in self.cluster.members())
        return replace(self.local, remote_managers=peers)

    def control(self) -> ControlApi:
        if self._locked is not None:
            raise SwarmLocked
        if self.cluster is None:
            raise NotManager(in_swarm=self.local.state == "active")
        return self.cluster.control

    async def engine_info(self) -> Mapping[str, Any]:
        return self.engine

    def _check_free(self) -> None:
        if self.local.state != "inactive":
            raise AlreadyInSwarm
