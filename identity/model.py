"""What a certificate says, and the three PEM texts a node proves it with. Imports nothing heavy: the relay uses it."""

from dataclasses import dataclass, field

from core.errors import Unauthenticated
from core.model import Role

MANAGER_NAME = "swarm-manager"
WORKER_NAME = "swarm-worker"
_NAMES = {Role.MANAGER: MANAGER_NAME, Role.WORKER: WORKER_NAME}
_ROLES = {name: role for role, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """A certificate's subject: common name, organisational unit and organisation."""

    node_id: str
    role: Role
    cluster_id: str


@dataclass(frozen=True, slots=True)
class PemBundle:
    """What a node proves itself with, in PEM."""

    key: bytes = field(repr=False)
    certificate: bytes
    """Its leaf; behind it, if its root was still to be trusted by all, that root as signed by the one before."""
    root: bytes
    """The root it trusts; two while one succeeds the other."""


def role_name(role: Role) -> str:
    """The organisational unit, and the server name, of a role."""
    return _NAMES[role]


def identity_of(common_names: list[str], units: list[str], organisations: list[str]) -> NodeIdentity:
    """The identity that a subject's fields state. Raises Unauthenticated unless each is there exactly once."""
    if len(common_names) != 1 or len(units) != 1 or len(organisations) != 1 or units[0] not in _ROLES:
        raise Unauthenticated("the certificate is not one of a cluster's node")
    return NodeIdentity(common_names[0], _ROLES[units[0]], organisations[0])
