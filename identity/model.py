"""What a certificate says."""

from dataclasses import dataclass

from core.model import Role

ROLE_NAMES = {Role.WORKER: "swarm-worker", Role.MANAGER: "swarm-manager"}
"""The organisational unit of a node's certificate, and one of its subject alternative names."""


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """CN, OU and O of a node's certificate."""

    node_id: str
    role: Role
    cluster_id: str
