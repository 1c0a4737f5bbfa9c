"""What the authority decides, inside one transaction: who a token admits, and as what a node is certified.

Decided on the newest state, so that a token that was rotated a moment ago admits nobody.
"""

from dataclasses import dataclass, replace

from core.clock import SECOND
from core.errors import InvalidArgument, NotFound, PermissionDenied, Unavailable
from core.model import Availability, Cluster, Node, NodeSpec, Role
from identity.certificates import read_leaf, root_fingerprint
from identity.model import NodeIdentity
from identity.root import issue, root_digest
from identity.tokens import parse_token, same_token
from manager.ca.rotation import signing
from manager.store import Transaction, View

MIN_LIFETIME = 3600 * SECOND
"""Of a node's certificate, whatever the cluster's settings say."""
_REISSUE_LIFETIME = 24 * 3600 * SECOND
"""Less than the time that a removed node is remembered beyond the expiry that the store knows."""


@dataclass(frozen=True, slots=True)
class Issued:
    node_id: str
    role: Role
    cluster_id: str
    certificate: bytes
    """PEM: the leaf, and what its verifiers may need behind it."""
    root: bytes
    """PEM: what to trust."""


def first_manager(
    cluster: Cluster, node_id: str, csr: bytes, availability: Availability, now: int
) -> tuple[Node, Issued]:
    """The node that made `cluster`, and its certificate: there is no store yet to ask."""
    return _certified(cluster, _new_node(node_id, Role.MANAGER, availability), csr, now)


def admit(tx: Transaction, token: str, csr: bytes, availability: Availability, node_id: str, now: int) -> Issued:
    """Adds the node `node_id` with the role that `token` stands for.

    Raises InvalidArgument for a malformed token or request, PermissionDenied for a token that is not ours (any more).
    """
    cluster = _cluster(tx)
    role = role_of_token(cluster, token)
    node, issued = _certified(cluster, _new_node(node_id, role, availability), csr, now)
    tx.create(node)
    return issued


def renew(tx: Transaction, node_id: str, csr: bytes, now: int) -> Issued:
    """Certifies a node anew, with the role it has now; not with the one that is wanted, until the role manager has
    changed it: a demoted node could not leave the log as what it is no more, and one that is promoted again must hold
    a worker's certificate before it joins anew. Raises NotFound if it has been removed."""
    cluster, node = _cluster(tx), tx.node(node_id)
    if node is None:
        raise NotFound(f"node {node_id} not found")
    renewed, issued = _certified(cluster, node, csr, now)
    tx.update(renewed)
    return issued


def reissue(view: View, node_id: str, csr: bytes, now: int) -> Issued:
    """A day's certificate for this manager itself, from what its own store says and without writing to it.

    For a cluster whose managers' certificates have all expired: nobody can lead it, so nobody could renew them.
    Raises NotFound or PermissionDenied if the store does not say that it is a manager.
    """
    cluster, node = _cluster(view), view.node(node_id)
    if node is None:
        raise NotFound(f"node {node_id} not found")
    if node.role is not Role.MANAGER:
        raise PermissionDenied(f"node {node_id} is no manager any more")
    return _issue(cluster, node, csr, now, _REISSUE_LIFETIME)


def role_of_token(cluster: Cluster, text: str) -> Role:
    """Raises InvalidArgument for no token at all, PermissionDenied for one that admits nobody here."""
    token = parse_token(text)
    if token.digest != root_digest(cluster.root_ca.cert):
        raise PermissionDenied(
            "the join token is for another cluster; `pyswarm join-token worker` (or manager), run on a manager of the "
            "cluster you mean, prints its own"
        )
    for role, expected in (
        (Role.WORKER, cluster.root_ca.worker_token),
        (Role.MANAGER, cluster.root_ca.manager_token),
    ):
        if same_token(text, expected):
            return role
    raise PermissionDenied(
        "the join token is not valid: it was rotated or mistyped; `pyswarm join-token worker` (or manager), run on a "
        "manager, prints the one of today"
    )


def parse_availability(number: int) -> Availability:
    """Raises InvalidArgument."""
    try:
        return Availability(number)
    except ValueError:
        raise InvalidArgument(f"unknown availability {number}") from None


def _certified(cluster: Cluster, node: Node, csr: bytes, now: int) -> tuple[Node, Issued]:
    issued = _issue(cluster, node, csr, now, max(cluster.spec.node_cert_expiry, MIN_LIFETIME))
    certified = replace(
        node,
        certificate_expires_at=max(node.certificate_expires_at, read_leaf(issued.certificate).expires_at),
        certificate_issuer=root_fingerprint(signing(cluster.root_ca).cert),
    )
    return certified, issued


def _issue(cluster: Cluster, node: Node, csr: bytes, now: int, lifetime: int) -> Issued:
    root = signing(cluster.root_ca)
    identity = NodeIdentity(node.id, node.role, cluster.id)
    certificate = issue(root.cert, root.key, csr, identity, now, lifetime)
    return Issued(node.id, node.role, cluster.id, certificate + root.cross_signed, root.trusted)


def _new_node(node_id: str, role: Role, availability: Availability) -> Node:
    return Node(id=node_id, role=role, spec=NodeSpec(role=role, availability=availability))


def _cluster(view: View) -> Cluster:
    if view.cluster is None:
        raise Unavailable("this manager does not hold the cluster's state yet; try again")
    return view.cluster
