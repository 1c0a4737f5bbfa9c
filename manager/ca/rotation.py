"""One root succeeds another (CA-06): begun by a user, carried out node by node, ended when nobody needs the old one.

Meanwhile the new root signs, and is itself signed by the old one; everybody comes to trust both. So whoever has heard
nothing yet believes those who have, and they believe it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from core.errors import FailedPrecondition
from core.model import Cluster, Node, NodeState, RootCA, RootRotation
from identity.certificates import root_fingerprint
from identity.root import cross_sign
from identity.tokens import new_token
from manager.store import Event, Transaction

BATCH = 30
"""Nodes that are asked at a time to get themselves a new certificate."""


@dataclass(frozen=True, slots=True)
class Signing:
    """What signs now, what goes behind each certificate, and what is trusted; all PEM."""

    cert: bytes
    key: bytes = field(repr=False)
    cross_signed: bytes
    trusted: bytes


def signing(root_ca: RootCA) -> Signing:
    rotation = root_ca.rotation
    if rotation is None:
        return Signing(root_ca.cert, root_ca.key, b"", root_ca.cert)
    return Signing(rotation.cert, rotation.key, rotation.cross_signed, root_ca.cert + rotation.cert)


def begin_rotation(cluster: Cluster, cert: bytes, key: bytes, now: int) -> Cluster:
    """`cluster` on its way to another root, in place of the one that it may have been on the way to.

    Raises FailedPrecondition if the present root has expired, and for a way back, to it or to a root that was passed
    over: what nodes said of their certificates would not tell who has left that root since, and whoever stole the key
    of the one that is given up would still be vouched for.
    """
    old = cluster.root_ca
    given_up = old.rotation
    passed_over = () if given_up is None else (*given_up.passed_over, root_fingerprint(given_up.cert))
    if root_fingerprint(cert) in (root_fingerprint(old.cert), *passed_over):
        raise FailedPrecondition(
            "the cluster has left this root already, so it cannot go back to it: change to a new one, with "
            "`pyswarm ca --rotate`"
        )
    rotation = RootRotation(cert, key, cross_sign(old.cert, old.key, cert, now), passed_over)
    return replace(cluster, root_ca=replace(old, rotation=rotation))


def finish_rotation(cluster: Cluster) -> Cluster:
    """`cluster` with its new root alone, and with tokens by which joiners know that."""
    rotation = cluster.root_ca.rotation
    if rotation is None:
        return cluster
    cert = rotation.cert
    return replace(cluster, root_ca=RootCA(cert, rotation.key, new_token(cert), new_token(cert)))


def waiting_nodes(nodes: Iterable[Node], issuer: str) -> list[Node]:
    """Those that do not hold a certificate of `issuer`, by their own word; of one that never came, by ours."""
    return [node for node in nodes if _issuer_held(node) != issuer]


def next_batch(waiting: Iterable[Node]) -> set[str]:
    """Who is asked now: those that can hear it first, and of these whoever has been asked already."""

    def order(node: Node) -> tuple[bool, bool, str]:
        return node.status.state is not NodeState.READY, not node.certificate_due, node.id

    return {node.id for node in sorted(waiting, key=order)[:BATCH]}


class RootRotator:
    """A Controller."""

    def start(self, tx: Transaction, now: int) -> None:
        self._carry_on(tx)

    def step(self, tx: Transaction, events: Sequence[Event], now: int) -> None:
        if any(isinstance(event.object, Node | Cluster) for event in events):
            self._carry_on(tx)

    def _carry_on(self, tx: Transaction) -> None:
        cluster = tx.cluster
        if cluster is None or cluster.root_ca.rotation is None:
            return
        waiting = waiting_nodes(tx.nodes(), root_fingerprint(cluster.root_ca.rotation.cert))
        due = next_batch(waiting)
        for node in list(tx.nodes()):
            if node.certificate_due != (node.id in due):
                tx.update(replace(node, certificate_due=node.id in due))
        if not waiting:
            tx.update(finish_rotation(cluster))


def _issuer_held(node: Node) -> str:
    return node.certificate_issuer if node.description is None else node.description.certificate_issuer
