"""A node whose cluster is a FakeControl."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.errors import Unavailable
from core.model import Cluster, Role, RootCA
from pyswarm.engineapi.ports import (
    AlreadyInSwarm,
    InitRequest,
    JoinRequest,
    LocalNode,
    ManagerPeer,
    NotInSwarm,
    NotManager,
)
from tests.support.fake_control import FakeControl

DIGEST = "6" * 50
ENGINE_INFO = {"ID": "ENGINE", "Name": "vm", "ServerVersion": "20.10.24", "OSType": "linux", "NCPU": 2}


class FakeNode:
    """In no cluster at first. `init` makes one of this node alone; `join` makes it a worker elsewhere."""

    def __init__(self) -> None:
        self.cluster: FakeControl | None = None
        self.local = LocalNode()
        self.engine: Mapping[str, Any] = ENGINE_INFO
        self.asked: list[object] = []

    async def init(self, request: InitRequest) -> str:
        self.asked.append(request)
        self._check_free()
        tokens = f"SWMTKN-1-{DIGEST}-{'w' * 25}", f"SWMTKN-1-{DIGEST}-{'m' * 25}"
        self.cluster = FakeControl(Cluster(spec=request.spec, root_ca=RootCA(root_pem(), b"", *tokens)))
        node = self.cluster.add_node("vm", Role.MANAGER, leader=True)
        self.local = LocalNode(node.id, node.status.addr, "active", is_manager=True)
        return node.id

    async def join(self, request: JoinRequest) -> None:
        self.asked.append(request)
        self._check_free()
        peer = ManagerPeer("n" * 25, request.remote_addrs[0])
        self.local = LocalNode("w" * 25, "10.231.0.2", "active", remote_managers=(peer,))

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

    def status(self) -> LocalNode:
        if self.cluster is None:
            return self.local
        managers = [node for node in self.cluster.nodes.values() if node.manager]
        peers = tuple(ManagerPeer(node.id, node.manager.addr) for node in managers)
        return replace(self.local, remote_managers=peers)

    def control(self) -> FakeControl:
        if self.cluster is None:
            raise NotManager(in_swarm=self.local.state == "active")
        return self.cluster

    async def engine_info(self) -> Mapping[str, Any]:
        return self.engine

    def _check_free(self) -> None:
        if self.local.state != "inactive":
            raise AlreadyInSwarm


@cache
def root_pem() -> bytes:
    """A self-signed root certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(begin + timedelta(days=7300))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
