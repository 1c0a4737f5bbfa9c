"""Changes to the cluster object, as decisions over a transaction. Pure but for the tokens' randomness."""

from dataclasses import replace

from core.errors import FailedPrecondition, OutOfSequence
from core.model import Cluster, ClusterSpec
from manager.ca.cluster import rotate_tokens
from manager.store import Transaction, View


def read_cluster(view: View) -> Cluster:
    """Raises FailedPrecondition on a manager whose store is empty still."""
    cluster = view.cluster
    if cluster is None:
        raise FailedPrecondition("the cluster is being formed; try again in a moment")
    return cluster


def without_key(cluster: Cluster) -> Cluster:
    """`cluster` as it may leave the managers."""
    return replace(cluster, root_ca=replace(cluster.root_ca, key=b""))


def update_cluster(tx: Transaction, version: int, spec: ClusterSpec, *, worker: bool, manager: bool) -> None:
    """`worker` and `manager` tell which join tokens to replace. Raises OutOfSequence."""
    cluster = read_cluster(tx)
    if cluster.meta.version != version:
        raise OutOfSequence
    tx.update(rotate_tokens(replace(cluster, spec=spec), worker=worker, manager=manager))
