"""Changes to the cluster object, as decisions over a transaction. Pure but for the randomness of tokens and keys."""

from dataclasses import replace

from core.errors import FailedPrecondition, InvalidArgument, OutOfSequence
from core.model import Cluster, ClusterSpec
from identity.certificates import root_fingerprint
from identity.root import check_root, create_root
from manager.ca.cluster import rotate_tokens, with_unlock_key
from manager.ca.rotation import begin_rotation, signing
from manager.control.api import Rotations
from manager.store import Transaction, View


def read_cluster(view: View) -> Cluster:
    """Raises FailedPrecondition on a manager whose store is empty still."""
    cluster = view.cluster
    if cluster is None:
        raise FailedPrecondition("the cluster is being formed; try again in a moment")
    return cluster


def without_keys(cluster: Cluster) -> Cluster:
    """`cluster` as it may leave the managers."""
    root_ca = replace(cluster.root_ca, key=b"")
    if root_ca.rotation is not None:
        root_ca = replace(root_ca, rotation=replace(root_ca.rotation, key=b""))
    return replace(cluster, root_ca=root_ca, unlock_key=b"")


def update_cluster(tx: Transaction, version: int, spec: ClusterSpec, rotations: Rotations, now: int) -> None:
    """Raises OutOfSequence, and what a root that cannot be used raises."""
    cluster = read_cluster(tx)
    if cluster.meta.version != version:
        raise OutOfSequence
    forced = spec.force_rotate != cluster.spec.force_rotate
    cluster = rotate_tokens(replace(cluster, spec=spec), worker=rotations.worker_token, manager=rotations.manager_token)
    tx.update(_with_root(with_unlock_key(cluster, rotate=rotations.unlock_key), rotations, forced, now))


def _with_root(cluster: Cluster, rotations: Rotations, forced: bool, now: int) -> Cluster:
    """`cluster` on its way to the root that is asked for, if that is another than the one it has or is going to have.

    Raises InvalidArgument for one that cannot be used, FailedPrecondition if the present one has expired.
    """
    if rotations.root_key and not rotations.root_cert:
        raise InvalidArgument("a root's key was given without its certificate: give both")
    if not rotations.root_cert:
        return begin_rotation(cluster, *create_root(now), now) if forced else cluster
    current = signing(cluster.root_ca).cert
    if not rotations.root_key:
        if root_fingerprint(rotations.root_cert) == root_fingerprint(current):
            return cluster
        raise InvalidArgument(
            "a root certificate was given without its key: give both, as pyswarm has no external authorities"
        )
    cert, key = check_root(rotations.root_cert, rotations.root_key, now)
    return cluster if cert == current else begin_rotation(cluster, cert, key, now)
