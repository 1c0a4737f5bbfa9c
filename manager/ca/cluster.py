"""The cluster object's part in the authority: made at init, its tokens rotated, its removed nodes kept out."""

from dataclasses import replace

from core.clock import SECOND
from core.ids import IdSource
from core.model import Cluster, ClusterSpec, Node, RootCA
from identity.root import create_root
from identity.tokens import new_token
from identity.unlock import new_unlock_key

_MARGIN = 7 * 24 * 3600 * SECOND
"""How long after its certificate's expiry a removed node is remembered, for clocks that differ."""


def new_cluster(now: int, ids: IdSource, spec: ClusterSpec | None = None) -> Cluster:
    """A cluster with a root certificate and join tokens of its own."""
    cert, key = create_root(now)
    root_ca = RootCA(cert=cert, key=key, worker_token=new_token(cert), manager_token=new_token(cert))
    return with_unlock_key(Cluster(id=ids(), spec=spec or ClusterSpec(), root_ca=root_ca))


def with_unlock_key(cluster: Cluster, *, rotate: bool = False) -> Cluster:
    """`cluster` with an unlock key, a new one to `rotate`, if its spec locks managers; without one if it does not."""
    if not cluster.spec.auto_lock:
        return replace(cluster, unlock_key=b"")
    if cluster.unlock_key and not rotate:
        return cluster
    return replace(cluster, unlock_key=new_unlock_key())


def rotate_tokens(cluster: Cluster, *, worker: bool, manager: bool) -> Cluster:
    """`cluster` with new tokens. The old ones admit nobody any more; nodes that joined with them stay."""
    old = cluster.root_ca
    tokens = replace(
        old,
        worker_token=new_token(old.cert) if worker else old.worker_token,
        manager_token=new_token(old.cert) if manager else old.manager_token,
    )
    return replace(cluster, root_ca=tokens)


def with_removed_node(cluster: Cluster, node: Node, now: int) -> Cluster:
    """`cluster` refusing `node`'s certificates until seven days after the last of them has expired.

    Forgets the nodes for which that time is over, so that only removals make the list longer, and shorter too.
    """
    expires_at = node.certificate_expires_at or now + cluster.spec.node_cert_expiry
    remembered = {node_id: until for node_id, until in cluster.removed_nodes.items() if until > now}
    remembered[node.id] = max(expires_at, now) + _MARGIN
    return replace(cluster, removed_nodes=remembered)
